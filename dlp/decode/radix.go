// Package decode undoes the encodings a secret can be carried in: base64, base32
// and hex ([Radix]), escapes and look-alikes ([Fold]), and compression
// ([Inflater]). Everything streams, nothing fails on input that is merely strange,
// and nothing is kept beyond the few bytes an encoding itself needs.
package decode

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
// where to look when more has come. It looks at the last character that a run would
// need first, so that it skips most of a text.
func (a *Alphabet) Run(b []byte, i, least int) (int, bool) {
	v := &a.value
	for i+least <= len(b) {
		j := i + least - 1
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
	v, bits := &r.a.value, r.a.Bits
	i := 0
	for ; r.skip > 0 && i < len(src); i++ {
		if v[src[i]] != outside {
			r.skip--
		}
	}
	for i < len(src) {
		if r.n == 0 && bits == 6 {
			for i+4 <= len(src) {
				a, b, c, d := v[src[i]], v[src[i+1]], v[src[i+2]], v[src[i+3]]
				if a|b|c|d == outside {
					break
				}
				x := uint32(a)<<18 | uint32(b)<<12 | uint32(c)<<6 | uint32(d)
				dst = append(dst, byte(x>>16), byte(x>>8), byte(x))
				i += 4
			}
			if i >= len(src) {
				break
			}
		}
		x := v[src[i]]
		i++
		if x == outside {
			continue
		}
		r.acc = r.acc<<bits | uint32(x)
		if r.n += bits; r.n >= 8 {
			r.n -= 8
			dst = append(dst, byte(r.acc>>r.n))
		}
	}
	return dst
}
