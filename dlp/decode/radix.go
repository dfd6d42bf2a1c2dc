// Package decode undoes the encodings a secret can be carried in: base64, base32
// and hex ([Radix]), escapes and look-alikes ([Fold]), and compression
// ([Inflater]). Everything streams, nothing fails on input that is merely strange,
// and nothing is kept beyond the few bytes an encoding itself needs.
package decode

import (
	"encoding/binary"
	"slices"
)

// Alphabet is one positional encoding of bytes.
type Alphabet struct {
	Name string
	// Bits a character carries: 6, 5 or 4.
	Bits uint
	// Phases is how many starting characters must be tried to be sure that one of
	// them falls on a group's border, whatever was put in front.
	Phases int
	value  [256]uint8 // 0xff: not of the alphabet, passed over
}

const outside = 0xff

// The alphabets. Base64 takes the standard and the URL-safe one (RFC 4648,
// sections 4 and 5) at once: their differing characters do not collide. Padding is
// passed over, and so is any other foreign byte. Base32 comes in capitals (RFC
// 4648, section 6) or in small letters, and is told from words by being all one.
var (
	Base64 = alphabet("base64", 6, 4, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", "-+", "_/")
	Base32 = alphabet("base32", 5, 8, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
	Lower  = alphabet("base32", 5, 8, "abcdefghijklmnopqrstuvwxyz234567")
	Hex    = alphabet("hex", 4, 2, "0123456789ABCDEF", "aA", "bB", "cC", "dD", "eE", "fF")
)

func alphabet(name string, bits uint, phases int, chars string, same ...string) *Alphabet {
	a := &Alphabet{Name: name, Bits: bits, Phases: phases}
	for i := range a.value {
		a.value[i] = outside
	}
	for i, c := range []byte(chars) {
		a.value[c] = uint8(i)
	}
	for _, s := range same {
		a.value[s[0]] = a.value[s[1]]
	}
	return a
}

// Has reports whether c is a character of the alphabet.
func (a *Alphabet) Has(c byte) bool { return a.value[c] != outside }

// Run returns the start of the first run of least characters at or after b[i], or
// where to look when more has come. It looks at the last characters that a run would
// need first, so that it skips most of a text: at four that stand so far apart that a
// word does not hold them all.
func (a *Alphabet) Run(b []byte, i, least int) (int, bool) {
	if a == Base64 && least >= wordChars {
		return base64Run(b, i, least)
	}
	const apart, reach = 3, 3 * 3
	v := &a.value
	for i+least <= len(b) {
		j := i + least - 1
		if least > reach && v[b[j]]|v[b[j-apart]]|v[b[j-2*apart]]|v[b[j-reach]] == outside {
			i = j - reach + 1
			continue
		}
		for j >= i && v[b[j]] != outside {
			j--
		}
		if j < i {
			return i, true
		}
		i = j + 1
	}
	return i, false
}

// base64Run is Run for base64. It looks at words that stand so far apart that a run
// holds one of them, wherever it begins.
func base64Run(b []byte, i, least int) (int, bool) {
	behind := least - wordChars // of the start of a run, the first word that is in it at the latest
	for j := i + behind; j+wordChars <= len(b); {
		if base64Chars(binary.LittleEndian.Uint64(b[j:])) != tops {
			j += behind + 1
			continue
		}
		from := j
		for from > i && Base64.Has(b[from-1]) {
			from--
		}
		to := j + wordChars
		for to < len(b) && to-from < least && Base64.Has(b[to]) {
			to++
		}
		if to-from >= least || to == len(b) {
			return from, to-from >= least
		}
		i, j = to, to+behind
	}
	end := len(b)
	for end > i && Base64.Has(b[end-1]) {
		end--
	}
	return end, false
}

// narrow has a bit for each alphabet that is a part of base64 and has the byte.
var narrow = func() (t [256]uint8) {
	for bit, a := range []*Alphabet{Hex, Base32, Lower} {
		for c := range t {
			if a.Has(byte(c)) {
				t[c] |= 1 << bit
			}
		}
	}
	return
}()

// NarrowRun is Run for all alphabets but base64 at once. It may take two runs for one
// that are of different alphabets and overlap.
func NarrowRun(b []byte, i, least int) (int, bool) {
	const apart, reach = 3, 3 * 3
	t := &narrow
	for i+least <= len(b) {
		j := i + least - 1
		if all := t[b[j]] & t[b[j-apart]] & t[b[j-2*apart]] & t[b[j-reach]]; all != 0 {
			from, to := j+1, j+1
			for some := all; from > i && some&t[b[from-1]] != 0; from-- {
				some &= t[b[from-1]]
			}
			for some := all; to-from < least && to < len(b) && some&t[b[to]] != 0; to++ {
				some &= t[b[to]]
			}
			if to-from >= least || to == len(b) {
				return from, to-from >= least
			}
		}
		i = j - reach + 1
	}
	return i, false
}

const ones, tops = 0x0101010101010101, 0x8080808080808080

// base64Chars marks the top bit of every byte of x that is of base64.
func base64Chars(x uint64) uint64 {
	low := x &^ tops
	letter := low | 0x20*ones
	letter = (letter + (0x80-'a')*ones) &^ (letter + (0x7f-'z')*ones)
	digit := (low + (0x80-'/')*ones) &^ (low + (0x7f-'9')*ones) // the slash stands before them
	other := (tops - (low ^ '+'*ones)) | (tops - (low ^ '-'*ones)) | (tops - (low ^ '_'*ones))
	return (letter | digit | other) &^ x & tops
}

// Span returns the number of characters at the start of b.
func (a *Alphabet) Span(b []byte) int {
	n := 0
	if a == Base64 {
		for n+8 <= len(b) && base64Chars(binary.LittleEndian.Uint64(b[n:])) == tops {
			n += 8
		}
	}
	for n < len(b) && a.value[b[n]] != outside {
		n++
	}
	return n
}

// Radix decodes one stream of characters, at one phase. The zero value decodes
// nothing; use [NewRadix].
type Radix struct {
	a    *Alphabet
	skip int // characters still to drop, for the phase
	acc  uint32
	n    uint // bits in acc
}

// NewRadix returns a decoder that drops the first phase characters.
func NewRadix(a *Alphabet, phase int) Radix { return Radix{a: a, skip: phase} }

// Append decodes src onto dst. Bits short of a byte wait for the next call.
func (r *Radix) Append(dst, src []byte) []byte {
	for _, c := range src {
		if x := r.a.value[c]; x != outside {
			dst = r.push(dst, x)
		}
	}
	return dst
}

func (r *Radix) push(dst []byte, x uint8) []byte {
	if r.skip > 0 {
		r.skip--
		return dst
	}
	r.acc = r.acc<<r.a.Bits | uint32(x)
	if r.n += r.a.Bits; r.n < 8 {
		return dst
	}
	r.n -= 8
	return append(dst, byte(r.acc>>r.n))
}

// A word is eight characters of base64, which are six bytes.
const (
	wordChars = 8
	wordBytes = 6
)

// Words reads src, which must be characters of base64 and nothing else, onto dst as
// words, and returns the rest, which is shorter than one.
func Words(dst []uint64, src []byte) (words []uint64, rest []byte) {
	v := &Base64.value
	for ; len(src) >= wordChars; src = src[wordChars:] {
		c := (*[wordChars]byte)(src)
		dst = append(dst, uint64(v[c[0]])<<42|uint64(v[c[1]])<<36|uint64(v[c[2]])<<30|uint64(v[c[3]])<<24|
			uint64(v[c[4]])<<18|uint64(v[c[5]])<<12|uint64(v[c[6]])<<6|uint64(v[c[7]]))
	}
	return dst, src
}

// AppendWords is Append for words of base64: the tables are looked up once for all
// phases, and a phase shifts six bytes at a time.
func (r *Radix) AppendWords(dst []byte, words []uint64) []byte {
	for ; r.skip > 0 && len(words) > 0; words = words[1:] {
		for at := 42; at >= 0; at -= 6 {
			dst = r.push(dst, uint8(words[0]>>at&63))
		}
	}
	from := len(dst)
	dst = slices.Grow(dst, wordBytes*len(words)+8)[:from+wordBytes*len(words)]
	to := dst[from:cap(dst)]
	left := uint64(1)<<r.n - 1
	acc := uint64(r.acc) & left
	for _, w := range words {
		binary.BigEndian.PutUint64(to, (acc<<48|w)>>r.n<<16)
		to = to[wordBytes:]
		acc = w & left
	}
	r.acc = uint32(acc)
	return dst
}
