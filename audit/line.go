package audit

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line formats e for a person, on one line and without its newline. Whatever a
// peer chose in it is escaped: no control character, no bidirectional override,
// nothing else that a terminal acts on or an eye cannot see reaches the screen.
func (e Event) Line() string {
	e = e.clean()
	var b strings.Builder
	b.WriteString(e.Time.Local().Format("15:04:05.000"))
	fmt.Fprintf(&b, " %-5s", e.Verdict)
	word(&b, e.Bottle)
	word(&b, string(e.Kind))
	word(&b, e.Method)
	word(&b, e.Target())
	if e.Status != 0 {
		word(&b, strconv.Itoa(e.Status))
	}
	if e.Count != 0 {
		word(&b, "count="+strconv.FormatUint(e.Count, 10))
	}
	word(&b, e.Reason)
	if e.Process.PID != 0 {
		word(&b, "by="+e.Process.Comm+"["+strconv.Itoa(e.Process.PID)+"]")
	}
	if e.RequestID != "" {
		word(&b, "id="+e.RequestID)
	}
	if e.Detail != "" {
		b.WriteString(" – ")
		b.WriteString(Visible(e.Detail))
	}
	return b.String()
}

// Target is where the bottle wanted to go, as well as it is known. It is what peers
// sent: show it with [Visible].
func (e Event) Target() string {
	switch {
	case e.Authority != "" && e.Scheme != "":
		return e.Scheme + "://" + e.Authority + e.Path.String()
	case e.Authority != "":
		return e.Authority + e.Path.String()
	case e.SNI != "":
		return e.SNI
	case e.OriginalDst.IsValid():
		return e.OriginalDst.String()
	}
	return ""
}

// word appends s, with no space in it, after a space.
func word(b *strings.Builder, s string) {
	if s == "" {
		return
	}
	b.WriteByte(' ')
	b.WriteString(strings.ReplaceAll(Visible(s), " ", `\x20`))
}

// Visible escapes every rune of s that is not a graphic one or is a space beside
// U+0020, and the backslash, so that the result reads back without doubt.
func Visible(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r == ' ', r != utf8.RuneError && unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.Is(unicode.Mn, r):
			b.WriteRune(r)
		default:
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}
