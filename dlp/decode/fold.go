package decode

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// Longest is the most bytes one escape takes. A longer one (an entity with a
// hundred leading zeros) is read as plain text.
const Longest = 12

// Fold appends src to dst with every escape undone: percent (RFC 3986), the
// backslash escapes of JSON, JavaScript and C, character references of HTML and
// XML, quoted-printable (RFC 2045) with its soft line breaks; and with every rune
// that looks like ASCII replaced by it, and unseen runes and NULs (UTF-16)
// removed. It returns the number of bytes taken: unless final, an escape that may
// go on is left.
//
// The languages are mixed on purpose: what a program downstream undoes is not
// known, and a secret does not appear by accident.
func Fold(dst, src []byte, final bool) ([]byte, int) {
	l := table()
	i := 0
	for i < len(src) {
		c := src[i]
		if !starts[c] || c >= 0x80 && i+1 < len(src) && src[i+1]&0xc0 != 0x80 {
			dst = append(dst, c)
			i++
			continue
		}
		text, n := l.escape(src[i:])
		if !final && len(src)-i < Longest && (n == 0 || c == '&' && i+n == len(src)) {
			break
		}
		if n == 0 {
			text, n = one(c), 1
		}
		dst = append(dst, text...)
		i += n
	}
	return dst, i
}

// Blank appends src to dst with every escape of a character that is not part of a
// token, such as "\n", "%20" or "&quot;", replaced by as many spaces, so that what
// stands beside it stands alone. Offsets stay what they are.
func Blank(dst, src []byte) []byte {
	l := table()
	for i := 0; i < len(src); {
		n := 0
		if c := src[i]; c == '\\' || c == '%' || c == '&' {
			var text string
			if text, n = l.escape(src[i:]); n > 0 && (text == "" || Token(text[0])) {
				n = 0
			}
		}
		if n == 0 {
			dst = append(dst, src[i])
			i++
			continue
		}
		for range n {
			dst = append(dst, ' ')
		}
		i += n
	}
	return dst
}

// MayFold reports whether first and second, side by side, can begin an escape for which
// [Hides] is true. There are two kinds of first bytes, each followed by what may follow
// any of its kind.
func MayFold(first, second byte) bool {
	switch first {
	case '%', '\\', '=':
		return Hex.Has(second) || strings.IndexByte("uUx/'\r\n", second) >= 0
	case '&', 0:
		return Token(second) || second == '#'
	}
	return false
}

// Hides reports whether an ASCII escape or a NUL at src[i] hides a character a secret
// can be made of. Escapes for quotes, spaces and line ends hide nothing.
func Hides(src []byte, i int) bool { return table().hides(src, i) }

// NextLetter returns the position of the first rune beyond ASCII in src[from:to] that
// looks like ASCII and stands in text, or to.
func NextLetter(src []byte, from, to int) int {
	l := table()
	for i := from; i < to; i += group {
		p := src[i:min(i+group, len(src))]
		if letterless(p) || !mostlyUTF8(p) {
			continue
		}
		for at := i; at < min(i+group, to) && at+1 < len(src); at++ {
			if src[at] >= 0xc2 && src[at+1]&0xc0 == 0x80 && l.hidesLetter(src, at) {
				return at
			}
		}
	}
	return to
}

// group is how many bytes are looked at together: in binary data the letters of other
// scripts appear all the time.
const group = 32

// letterless reports whether p is ASCII, or plainly not UTF-8, as most of binary data is:
// a rune goes on where none began, or does not go on.
func letterless(p []byte) bool {
	some := uint64(0)
	for ; len(p) >= 8; p = p[8:] {
		x := binary.LittleEndian.Uint64(p)
		some |= x
		high, second := x&tops, x<<1&tops
		lead, on := high&second, high&^second
		if (^high&(on>>8)|lead&^(on>>8))&(tops>>8) != 0 {
			return true
		}
	}
	for _, c := range p {
		some |= uint64(c)
	}
	return some&tops == 0
}

func (l *lookalikes) hidesLetter(src []byte, i int) bool {
	r, _ := utf8.DecodeRune(src[i:])
	_, ok := l.of(r)
	return ok && inText(src, i)
}

// hides reports whether the ASCII escape or NUL at src[i] hides a character.
func (l *lookalikes) hides(src []byte, i int) bool {
	if src[i] == 0 {
		return wide(src, i, 2) || wide(src, i, 4)
	}
	text, n := l.escape(src[i:])
	if n == 0 || text == "" {
		return n > 0
	}
	c := text[0]
	if Token(c) || c >= 0x80 {
		return true
	}
	// What begins an escape, or a character of UTF-16, hides what follows.
	if i+n >= len(src) {
		return false
	}
	next := src[i+n]
	switch c {
	case '%':
		return starts[next] || Hex.value[next] != outside || next|0x20 == 'u'
	case '\\':
		return starts[next] || next == 'u' || next == 'x' || next == 'U' || octal(next)
	case '&':
		if starts[next] { // "&&" is common in code, "&#" is what matters
			text, _ = l.escape(src[i+n:])
			return text == "#" || text == "" && next != '&'
		}
		return next == '#'
	case 0:
		return starts[next] || Token(next)
	}
	return false
}

// wide reports whether the NUL at src[i] is the last one between two characters of n
// bytes each, of UTF-16 or UTF-32.
func wide(src []byte, i, n int) bool {
	before := i - n + 1
	if before < 0 || i+2 >= len(src) || !Token(src[before]) || !Token(src[i+1]) || src[i+2] != 0 {
		return false
	}
	for _, c := range src[before+1 : i] {
		if c != 0 {
			return false
		}
	}
	return true
}

// mostlyUTF8 reports whether p is UTF-8 but for runes cut at its ends.
func mostlyUTF8(p []byte) bool {
	for n := 0; n < utf8.UTFMax-1 && len(p) > 0 && p[0]&0xc0 == 0x80; n++ {
		p = p[1:]
	}
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if c := p[len(p)-n]; c >= 0xc0 {
			p = p[:len(p)-n]
			break
		} else if c < 0x80 {
			break
		}
	}
	return utf8.Valid(p)
}

// inText reports whether the rune at src[i] stands in text, before it or behind it:
// in binary data look-alikes appear all the time.
func inText(src []byte, i int) bool {
	const near = 12
	ahead, back := src[i:min(i+near, len(src))], src[max(0, i-near):i]
	return len(ahead) > near/2 && readable(ahead) || len(back) > near/2 && readable(back) || len(src) <= 2*near
}

func readable(p []byte) bool {
	for _, c := range p {
		if c < 0x20 && c != '\n' && c != '\r' && c != '\t' {
			return false
		}
	}
	return mostlyUTF8(p)
}

// Token reports whether c can be part of a token: a letter, a digit or one of
// "_-+/=.~:".
func Token(c byte) bool { return token[c] }

var token, starts = func() (t, s [256]bool) {
	for i := range 256 {
		c := byte(i)
		t[i] = '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.IndexByte("_-+/=.~:", c) >= 0
		s[i] = c == 0 || c >= 0xc2 || c == '%' || c == '\\' || c == '&' || c == '='
	}
	return
}()

// escape reads one escape at the start of s: what it stands for and its length, or
// 0 if it is none.
func (l *lookalikes) escape(s []byte) (string, int) {
	switch c := s[0]; {
	case c == 0:
		return "", 1
	case c >= 0x80:
		r, n := utf8.DecodeRune(s)
		if text, ok := l.of(r); ok {
			return text, n
		}
		return "", 0
	case c == '%':
		if len(s) > 1 && (s[1] == 'u' || s[1] == 'U') { // the old escape() of JavaScript
			return l.number(s, 2, 4, 4, 0)
		}
		return octet(s, 1)
	case c == '=':
		if len(s) > 1 && s[1] == '\n' {
			return "", 2
		}
		if len(s) > 2 && s[1] == '\r' && s[2] == '\n' {
			return "", 3
		}
		return octet(s, 1)
	case c == '&':
		return l.reference(s)
	default:
		return l.backslash(s)
	}
}

func (l *lookalikes) backslash(s []byte) (string, int) {
	if len(s) < 2 {
		return "", 0
	}
	switch s[1] {
	case 'u':
		if len(s) > 2 && s[2] == '{' {
			return l.number(s, 3, 1, 8, '}')
		}
		return l.number(s, 2, 4, 4, 0)
	case 'U':
		return l.number(s, 2, 8, 8, 0)
	case 'x':
		return octet(s, 2)
	case 'n':
		return "\n", 2
	case 'r':
		return "\r", 2
	case 't':
		return "\t", 2
	case '"', '\\', '/', '\'':
		return one(s[1]), 2
	case '\n':
		return "", 2
	}
	if len(s) >= 4 && s[1] >= '0' && s[1] <= '3' && octal(s[2]) && octal(s[3]) {
		return one((s[1]-'0')<<6 | (s[2]-'0')<<3 | (s[3] - '0')), 4
	}
	return "", 0
}

func octal(c byte) bool { return '0' <= c && c <= '7' }

// octet reads two hex digits at s[at].
func octet(s []byte, at int) (string, int) {
	if len(s) < at+2 {
		return "", 0
	}
	hi, lo := Hex.value[s[at]], Hex.value[s[at+1]]
	if hi == outside || lo == outside {
		return "", 0
	}
	return one(hi<<4 | lo), at + 2
}

// number reads between least and most hex digits at s[at], closed by end if that
// is not 0.
func (l *lookalikes) number(s []byte, at, least, most int, end byte) (string, int) {
	r, i := rune(0), at
	for ; i < len(s) && i < at+most && Hex.value[s[i]] != outside; i++ {
		r = r<<4 | rune(Hex.value[s[i]])
	}
	if i-at < least || r < 0 || r > utf8.MaxRune {
		return "", 0
	}
	if end != 0 {
		if i >= len(s) || s[i] != end {
			return "", 0
		}
		i++
	}
	return l.text(r), i
}

// reference reads a character reference of HTML. The semicolon may be missing
// after a number, as browsers have it.
func (l *lookalikes) reference(s []byte) (string, int) {
	if len(s) > Longest {
		s = s[:Longest]
	}
	if len(s) < 4 || s[1] != '#' {
		if len(s) < 4 || bytes.IndexByte(s, ';') < 0 && s[1] != 'Z' {
			return "", 0
		}
		for _, n := range named {
			if len(s) >= len(n[0]) && string(s[:len(n[0])]) == n[0] {
				return n[1], len(n[0])
			}
		}
		return "", 0
	}
	if s[2] == 'x' || s[2] == 'X' {
		text, n := l.number(s, 3, 1, 8, 0)
		return text, closed(s, n)
	}
	r, i := rune(0), 2
	for ; i < len(s) && '0' <= s[i] && s[i] <= '9'; i++ {
		r = r*10 + rune(s[i]-'0')
	}
	if i == 2 || r < 0 || r > utf8.MaxRune {
		return "", 0
	}
	return l.text(r), closed(s, i)
}

// closed returns the length of a reference whose number ends at i: with its
// semicolon, or 0 if what follows may be an escape for one.
func closed(s []byte, i int) int {
	if i > 0 && i < len(s) {
		switch s[i] {
		case ';':
			return i + 1
		case '=', '%', '\\':
			return 0
		}
	}
	return i
}

var named = [][2]string{
	{"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", `"`}, {"&apos;", "'"}, {"&nbsp;", " "},
	{"&lowbar;", "_"}, {"&UnderBar;", "_"}, {"&hyphen;", "-"}, {"&dash;", "-"}, {"&period;", "."}, {"&sol;", "/"},
	{"&plus;", "+"}, {"&equals;", "="}, {"&colon;", ":"}, {"&shy;", ""}, {"&ZeroWidth", ""}, {"&zwj;", ""}, {"&zwnj;", ""},
}

// text is r as UTF-8, or what it looks like.
func (l *lookalikes) text(r rune) string {
	if r >= 0 && r < 0x80 {
		return one(byte(r))
	}
	if text, ok := l.of(r); ok {
		return text
	}
	return string(r)
}

// bytes1 holds every byte at its own index.
var bytes1 = func() string {
	var b [256]byte
	for i := range b {
		b[i] = byte(i)
	}
	return string(b[:])
}()

func one(c byte) string { return bytes1[int(c) : int(c)+1] }
