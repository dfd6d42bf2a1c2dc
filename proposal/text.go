package proposal

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText bounds a free text, in characters. It is what a person reads before
// saying yes to a stranger.
const maxText = 500

// cut ends a text that was longer.
const cut = "…"

// oneLine makes s fit to be shown to a person on one line of a terminal: runs of
// white space are one space, and whatever draws nothing, moves the cursor, or
// changes the order of what is drawn is shown as �. What is longer than max
// characters is cut.
func oneLine(s string, max int) string {
	var b strings.Builder
	n, marks, space := 0, 0, false
	for _, r := range s {
		if unicode.IsSpace(r) {
			space = n > 0
			continue
		}
		if unicode.Is(unicode.M, r) {
			marks++
		} else {
			marks = 0
		}
		if !visible(r) || marks > maxMarks {
			r = utf8.RuneError
		}
		if space {
			b.WriteByte(' ')
			n, space = n+1, false
		}
		if n >= max {
			return strings.TrimRight(b.String(), " ") + cut
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}

// maxMarks is how many combining marks may stand on one letter: enough for every
// living language, too few to draw over the lines above.
const maxMarks = 3

// visible reports whether r draws something by itself and leaves the rest of the
// line where it is. Bidi controls, zero-width characters and tags are in Cf; what
// else is invisible by design has the property Default_Ignorable_Code_Point
// (Unicode Standard, section 5.21).
func visible(r rune) bool {
	switch {
	case r == utf8.RuneError, r == brailleBlank:
		return false
	case unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector):
		return false
	}
	return unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S)
}

// brailleBlank is a symbol by its category and a space to the eye.
const brailleBlank = '\u2800'

// clip shortens what an error shows.
func clip(s string) string { return oneLine(s, 64) }

// asciiToken reports whether s is made of letters, digits, and the punctuation
// that identifiers of rules and requests use, and is not over max bytes.
func asciiToken(s string, max int) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.", c) >= 0) {
			return false
		}
	}
	return s != "" && len(s) <= max
}
