package scrub

import (
	"encoding/binary"
	"math/bits"
	"strings"
)

// MinSecret is the shortest secret, in bytes, that a [Set] looks for. Anything
// shorter occurs by chance, and a text full of asterisks protects nobody.
const MinSecret = 6

// Set is what to look for. It is safe for concurrent use; its zero value and nil
// find nothing.
//
// It searches as Wu and Manber do (A fast algorithm for multi-pattern searching,
// 1994): the last block of a window says how far the window may move without
// passing a form, which on text that holds none is nearly its whole length.
type Set struct {
	first [256][]string // the forms, by their first byte
	names []string      // the forms as a field name may have them, in lower case
	skip  []uint8       // by hash of a block: how far the window may move; 0 is a look
	shift uint          // leaves of a product the bits of the hash
	width int           // of the window, in bytes: no form is shorter
	loose int           // as many bytes a Reader lets go although they may begin a match
}

const (
	block    = 4  // bytes
	maxWidth = 64 // bytes: more would not make it faster
	maxLoose = 3  // bytes
)

// New returns a Set for the secrets; those shorter than [MinSecret] are left out.
// Memory is about 150 bytes a byte of secret, and a table of at most 64 KiB.
func New(secrets ...string) *Set {
	s := &Set{width: maxWidth, loose: maxLoose}
	var all []string
	for _, secret := range secrets {
		if len(secret) >= MinSecret {
			all = append(all, forms(secret)...)
			s.loose = min(s.loose, len(secret)/8)
		}
	}
	for _, f := range all {
		s.first[f[0]] = append(s.first[f[0]], f)
		s.names = append(s.names, strings.ToLower(f))
		s.width = min(s.width, len(f))
	}
	if len(all) > 0 {
		s.index(all)
	}
	return s
}

// index computes how far a window may move: to where a form would have the block that
// the window ends in.
func (s *Set) index(forms []string) {
	n := min(max(bits.Len(uint(len(forms)*s.width*4)), 10), 16)
	s.shift, s.skip = uint(32-n), make([]uint8, 1<<n)
	for i := range s.skip {
		s.skip[i] = uint8(s.width - block + 1)
	}
	for _, f := range forms {
		for at := range s.width - block + 1 {
			h := hash([]byte(f[at:at+block]), s.shift)
			s.skip[h] = min(s.skip[h], uint8(s.width-block-at))
		}
	}
}

// hash is Knuth's multiplicative one, of the first block of p.
func hash(p []byte, shift uint) uint32 {
	return binary.LittleEndian.Uint32(p) * 0x9E3779B1 >> (shift & 31)
}

func (s *Set) empty() bool { return s == nil || s.skip == nil }

// next returns the first place in p, from at on, where a form may begin, or len(p).
func (s *Set) next(p []byte, at int) int {
	table, shift, last := s.skip, s.shift, s.width-block
	for at+last+block <= len(p) {
		skip := int(table[hash(p[at+last:], shift)])
		if skip == 0 {
			return at
		}
		at += skip
	}
	for at < len(p) && s.first[p[at]] == nil {
		at++
	}
	return at
}

// match returns the length of the longest form that p begins with, or 0, and whether
// p is the beginning of a longer one.
func (s *Set) match(p []byte) (n int, open bool) {
	for _, f := range s.first[p[0]] {
		switch {
		case len(f) > len(p):
			open = open || f[:len(p)] == string(p)
		case len(f) > n && f == string(p[:len(f)]):
			n = len(f)
		}
	}
	return n, open
}

// Bytes masks every match in p, in place, and returns how many there were. Matches
// that overlap are one.
func (s *Set) Bytes(p []byte) int {
	m := Mask{sets: s}
	m.run(s, p, true)
	return m.found
}

// String returns t with every match masked, and how many there were.
func (s *Set) String(t string) (string, int) {
	if s.empty() || len(t) < s.width {
		return t, 0
	}
	b := []byte(t)
	if n := s.Bytes(b); n > 0 {
		return string(b), n
	}
	return t, 0
}

// Load returns s: a Set is a [Sets] that does not change.
func (s *Set) Load() *Set { return s }
