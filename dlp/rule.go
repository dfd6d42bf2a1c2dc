package dlp

import (
	"regexp"
	"strings"

	"bottled/dlp/rules"
)

// rule is a shape of secret, ready to run.
type rule struct {
	id      string
	class   rules.Class
	mode    Mode
	re      *regexp.Regexp
	joined  *regexp.Regexp // for joined values, where neighbours mean nothing
	group   int
	entropy float64
	allow   []*regexp.Regexp
	stop    []string
	shape   shape
	assigns bool                            // a name, an operator, a value
	check   func(match []byte) (bool, bool) // is it one at all; does its checksum hold
}

// keyword is one literal of the automaton: which rule it announces and what can be
// checked before its expression runs.
type keyword struct {
	rule   int
	length int
	offset int // of the literal in the rule's prefix, -1: not known
}

// looseBits is how unlikely a match in random base64 must be for a rule to do
// without word boundaries: 2^-44, one in 16 TB.
const looseBits = 44

// glue is what the expressions of all assignments have in common.
const glue = `(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)`

func newRule(r *rules.Rule, mode Mode) *rule {
	out := &rule{id: r.ID, class: r.Class, mode: mode, re: r.Regexp, group: r.Group, entropy: r.Entropy,
		allow: r.Allow, stop: r.Stop, check: checks[r.ID]}
	out.assigns = strings.Contains(r.Regexp.String(), glue)
	out.joined = out.re
	if text, cut := unbounded(r.Regexp.String()); cut && r.Class == rules.High {
		loose := regexp.MustCompile(text)
		s := shapeOf(loose)
		if s.bits >= looseBits {
			out.re = loose
		}
		if s.bits >= looseBits || s.punctuated() {
			out.joined = loose
		}
	}
	out.shape = shapeOf(out.re)
	if out.joined != out.re { // it is the same without what stands around a match
		loose := shapeOf(out.joined)
		out.shape.least, out.shape.must = loose.least, loose.must
	}
	if out.assigns {
		out.shape.longest = min(out.shape.longest, 220)
	}
	return out
}

// unbounded cuts the word boundary in front of an expression and the delimiter
// behind it.
func unbounded(re string) (string, bool) {
	text := re
	fold := ""
	if rest, ok := strings.CutPrefix(text, "(?i)"); ok {
		fold, text = "(?i)", rest
	}
	text = strings.TrimPrefix(text, `\b`)
	for _, end := range []string{`\b`, `(?:[^0-9A-Za-z]|$)`, `(?:[^\w-]|\z)`} {
		text = strings.TrimSuffix(text, end)
	}
	return fold + text, fold+text != re
}

// may says whether the text around a keyword that ends at buf[end] can match at
// all. Where the text is not there it errs towards more, which is whether more may come.
func (r *rule) may(k *keyword, buf []byte, end int, more bool) bool {
	if r.assigns {
		return assignment(buf[end:], more)
	}
	if k.offset < 0 {
		return r.shape.fits(buf, end-k.length, end, more)
	}
	start := end - k.length - k.offset
	if start < 0 {
		return false
	}
	for i := range r.shape.prefix {
		if start+i >= len(buf) {
			return more
		}
		if !r.shape.prefix[i].has(buf[start+i]) {
			return false
		}
	}
	return true
}

// assignment reports whether s goes on like the rest of a name, an operator and a
// value of ten bytes or more with a digit in it. If it is too short to tell it may, if
// more comes.
func assignment(s []byte, more bool) bool {
	i := 0
	for n := 0; i < len(s) && n < 23 && (nameByte[s[i]]); i, n = i+1, n+1 {
	}
	if i >= len(s) {
		return more
	}
	if !operator[s[i]] {
		// An operator may follow quotes and spaces that the loop has eaten, but
		// nothing else may.
		return false
	}
	for n := 0; i < len(s) && n < 9 && (operator[s[i]] || blank[s[i]]); i, n = i+1, n+1 {
	}
	digit := false
	for n := 0; ; i, n = i+1, n+1 {
		if i >= len(s) && more {
			return true
		}
		if i >= len(s) || !valueByte[s[i]] || n >= 64 {
			return n >= 10 && digit
		}
		digit = digit || '0' <= s[i] && s[i] <= '9'
	}
}

var nameByte, operator, blank, valueByte = func() (name, op, blank, value [256]bool) {
	for i := range 256 {
		c := byte(i)
		word := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
		name[i] = word || strings.IndexByte(" \t.-'\"\r\n\\", c) >= 0
		op[i] = strings.IndexByte("=>:|?,", c) >= 0
		blank[i] = strings.IndexByte(" \t\r\n`'\"=\\", c) >= 0
		value[i] = word || strings.IndexByte(".=-+/:|%~@$!", c) >= 0
	}
	return
}()

// secret returns the bounds, in text, of the secret of a match whose submatch
// indexes are at.
func (r *rule) secret(at []int) (int, int) {
	if r.group > 0 {
		if at[2*r.group] >= 0 {
			return at[2*r.group], at[2*r.group+1]
		}
		return at[0], at[1]
	}
	for g := 2; g < len(at); g += 2 {
		if at[g] >= 0 && at[g+1] > at[g] {
			return at[g], at[g+1]
		}
	}
	return at[0], at[1]
}

// real applies what an expression cannot say: entropy, placeholders, checksums.
func (r *rule) real(secret []byte) (ok, confirmed bool) {
	if r.entropy > 0 && entropy(secret) <= r.entropy {
		return false, false
	}
	for _, a := range r.allow {
		if a.Match(secret) {
			return false, false
		}
	}
	if len(r.stop) > 0 {
		low := strings.ToLower(string(secret))
		for _, s := range r.stop {
			if strings.Contains(low, s) {
				return false, false
			}
		}
	}
	if r.check != nil {
		return r.check(secret)
	}
	return true, false
}
