package dlp

import (
	"math"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"

	"bottled/dlp/decode"
)

// longest bounds the text around a keyword that an expression is run over, in
// bytes on either side.
const longest = 1024

// prefixMax bounds how much of an expression is checked without running it.
const prefixMax = 24

// byteSet is a set of bytes.
type byteSet [4]uint64

func (s *byteSet) add(c byte)      { s[c>>6] |= 1 << (c & 63) }
func (s *byteSet) has(c byte) bool { return s[c>>6]>>(c&63)&1 != 0 }

// shape is what the syntax of an expression says about its matches.
type shape struct {
	longest int       // bytes of the longest match, at most the constant
	bits    float64   // how unlikely a match is in random base64: 2^-bits for each position
	prefix  []byteSet // what the first bytes of every match are
	least   int       // bytes of the shortest match
	bytes   byteSet   // what a match is made of
	must    []byte    // what every match holds
}

func shapeOf(re *regexp.Regexp) shape {
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return shape{longest: longest} // regexp compiled it, so this cannot be
	}
	tree = tree.Simplify()
	var s shape
	s.longest = min(maxLen(tree), longest)
	s.bits = bits(tree)
	s.prefix, _ = prefix(nil, tree)
	s.least = minLen(tree)
	made(&s.bytes, tree)
	s.must = must(tree)
	if s.bytes.has(' ') { // an escape may stand for it: see [view.try]
		for c := range 256 {
			if c := byte(c); c < 0x80 && (decode.Token(c) || strings.IndexByte("\\%&;#{}\"'\n", c) >= 0) {
				s.bytes.add(c)
			}
		}
	}
	return s
}

// minLen returns the length of the shortest match in bytes, or less.
func minLen(re *syntax.Regexp) int {
	n := 0
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune) // a rune may fold to a shorter one
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	case syntax.OpStar, syntax.OpQuest:
		return 0
	case syntax.OpRepeat:
		return re.Min * minLen(re.Sub[0])
	case syntax.OpAlternate:
		n = longest
		for _, sub := range re.Sub {
			n = min(n, minLen(sub))
		}
		return n
	}
	for _, sub := range re.Sub {
		n += minLen(sub)
	}
	return n
}

// made adds to s every byte that a match of re can hold.
func made(s *byteSet, re *syntax.Regexp) {
	span := func(lo, hi rune) {
		for c := lo; c <= min(hi, 0x7f); c++ {
			s.add(byte(c))
		}
		if hi >= 0x80 {
			s[2], s[3] = math.MaxUint64, math.MaxUint64
		}
	}
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			span(r, r)
			if re.Flags&syntax.FoldCase != 0 {
				for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
					span(f, f)
				}
			}
		}
	case syntax.OpCharClass:
		for i := 0; i < len(re.Rune); i += 2 {
			span(re.Rune[i], re.Rune[i+1])
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		span(0, unicode.MaxRune)
	}
	for _, sub := range re.Sub {
		made(s, sub)
	}
}

// must returns the longest text that every match of re holds.
func must(re *syntax.Regexp) []byte {
	var best []byte
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			return []byte(string(re.Rune))
		}
	case syntax.OpCapture, syntax.OpConcat, syntax.OpPlus:
		for _, sub := range re.Sub {
			if text := must(sub); len(text) > len(best) {
				best = text
			}
		}
	}
	return best
}

// fits reports whether what a match is made of stands around buf[from:to] for as long as
// the shortest one, or up to the end, behind which there may be more.
func (s *shape) fits(buf []byte, from, to int, more bool) bool {
	for from > 0 && to-from < s.least && s.bytes.has(buf[from-1]) {
		from--
	}
	for to < len(buf) && to-from < s.least && s.bytes.has(buf[to]) {
		to++
	}
	return to-from >= s.least || to == len(buf) && more
}

func maxLen(re *syntax.Regexp) int {
	n := 0
	switch re.Op {
	case syntax.OpLiteral:
		return len(string(re.Rune))
	case syntax.OpCharClass:
		return len(string(re.Rune[len(re.Rune)-1]))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 4
	case syntax.OpStar, syntax.OpPlus:
		return longest
	case syntax.OpRepeat:
		if re.Max < 0 {
			return longest
		}
		return min(longest, re.Max*maxLen(re.Sub[0]))
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			n = max(n, maxLen(sub))
		}
		return n
	}
	for _, sub := range re.Sub {
		n += maxLen(sub)
	}
	return min(n, longest)
}

const base64Chars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// bits sums, over the least a match must have, how much each byte says.
func bits(re *syntax.Regexp) float64 {
	sum := 0.0
	switch re.Op {
	case syntax.OpLiteral:
		each := 6.0
		if re.Flags&syntax.FoldCase != 0 {
			each = 5
		}
		return each * float64(len(re.Rune))
	case syntax.OpCharClass:
		n := 0
		for _, c := range base64Chars {
			for i := 0; i < len(re.Rune); i += 2 {
				if re.Rune[i] <= c && c <= re.Rune[i+1] {
					n++
				}
			}
		}
		if n == 0 {
			return 6
		}
		return math.Log2(64 / float64(n))
	case syntax.OpStar, syntax.OpQuest:
		return 0
	case syntax.OpRepeat:
		return float64(re.Min) * bits(re.Sub[0])
	case syntax.OpAlternate:
		sum = math.Inf(1)
		for _, sub := range re.Sub {
			sum = min(sum, bits(sub))
		}
		return sum
	}
	for _, sub := range re.Sub {
		sum += bits(sub)
	}
	return sum
}

// prefix appends what the first bytes of re are, and reports whether that is all of
// re, so that what follows re may be appended.
func prefix(to []byteSet, re *syntax.Regexp) ([]byteSet, bool) {
	if len(to) >= prefixMax {
		return to, false
	}
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpBeginText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return to, true
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			if r >= 0x80 {
				return to, false
			}
			var s byteSet
			s.add(byte(r))
			if re.Flags&syntax.FoldCase != 0 {
				for _, c := range strings.ToLower(string(r)) + strings.ToUpper(string(r)) {
					s.add(byte(c))
				}
			}
			to = append(to, s)
		}
		return to, true
	case syntax.OpCharClass:
		var s byteSet
		for i := 0; i < len(re.Rune); i += 2 {
			if re.Rune[i+1] >= 0x80 && re.Rune[i+1] != 0x17f && re.Rune[i+1] != 0x212a { // ſ and K fold to ASCII
				return to, false
			}
			for c := re.Rune[i]; c <= min(re.Rune[i+1], 0x7f); c++ {
				s.add(byte(c))
			}
		}
		return append(to, s), true
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			var all bool
			if to, all = prefix(to, sub); !all {
				return to, false
			}
		}
		return to, true
	case syntax.OpPlus:
		to, _ = prefix(to, re.Sub[0])
	}
	return to, false
}

// offsetOf finds where in the prefix the keyword stands, or -1.
func (s *shape) offsetOf(keyword string) int {
next:
	for o := 0; o+len(keyword) <= len(s.prefix); o++ {
		for i := range len(keyword) {
			set := &s.prefix[o+i]
			if !set.has(keyword[i]) && !set.has(keyword[i]-32) || population(set) > 2 {
				continue next
			}
		}
		return o
	}
	return -1
}

func population(s *byteSet) int {
	n := 0
	for c := range 256 {
		if s.has(byte(c)) {
			n++
		}
	}
	return n
}

// punctuated reports whether every match has, among its first bytes, a certain one
// that base64 does not have.
func (s *shape) punctuated() bool {
	for i := range s.prefix {
		if set := &s.prefix[i]; population(set) == 1 && (set.has('_') || set.has('-') || set.has('.')) {
			return true
		}
	}
	return false
}
