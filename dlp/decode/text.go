package decode

// textLeast is how many printable bytes in a row are taken for text.
const textLeast = 10

// Text reports whether p has ten printable bytes in a row, NULs and line breaks between
// them aside, or holds what may be the start of compressed data: whether it is worth
// looking at closely.
func Text(p []byte) bool {
	n, last := 0, byte(0)
	for i, c := range p {
		k := kinds[c]
		if n += int(k & printable); n >= textLeast {
			return true
		}
		if k&stray != 0 {
			n = 0
		}
		if signature(last, c, i) {
			return true
		}
		last = c
	}
	return false
}

// Base64Text reports whether a run of base64 decodes to [Text] at any phase. It decodes all phases in one pass: after each character,
// the last four are one group of one of them.
func Base64Text(run []byte) bool {
	var acc uint32
	var streak [4]int
	for i, ch := range run {
		acc = acc<<6 | uint32(Base64.value[ch]&63)
		if i < 3 {
			continue
		}
		x, y, z := kinds[acc>>16&0xff], kinds[acc>>8&0xff], kinds[acc&0xff]
		n := &streak[i&3]
		if (x|y|z)&stray == 0 {
			if *n += int(x&printable + y&printable + z&printable); *n >= textLeast {
				return true
			}
		} else {
			if *n > textLeast-3 && x&stray == 0 { // the first bytes may be its end
				if *n += int(x & printable); y&stray == 0 {
					*n += int(y & printable)
				}
				if *n >= textLeast {
					return true
				}
			}
			if *n = 0; z&stray == 0 {
				if *n = int(z & printable); y&stray == 0 {
					*n += int(y & printable)
				}
			}
		}
		if (x|y|z)&first != 0 && signed(acc, i) {
			return true
		}
	}
	return false
}

// signed reports whether a signature begins in the 24 bits of group: whole, or with
// its first byte at the end.
func signed(group uint32, i int) bool {
	a, b, c := byte(group>>16), byte(group>>8), byte(group)
	return signature(a, b, i) || signature(b, c, i) || c == 0x1f || c == 0x28 && i < 8 || c == 0x78 && i < 8
}

// signature reports whether a and b, at byte or character i, begin compressed data.
// That of zlib says so little that it counts near the start only.
func signature(a, b byte, i int) bool {
	switch a {
	case 0x1f:
		return b == 0x8b
	case 0x28:
		return b == 0xb5
	case 'P':
		return b == 'K'
	case 0x78:
		return i < 8 && (b == 0x01 || b == 0x5e || b == 0x9c || b == 0xda)
	}
	return false
}

// What a byte is to a text: part of it, nothing, or the end of it.
const (
	neutral   = 0
	printable = 1
	stray     = 2
	first     = 4 // it may begin compressed data; together with one of the others
)

// kinds takes the first byte of a rune that may look like ASCII as printable and
// the bytes behind it as nothing.
var kinds = func() (t [256]uint8) {
	for i := range t {
		switch {
		case i == 0, i == '\t', i == '\n', i == '\r', i >= 0x80 && i < 0xc0:
			t[i] = neutral
		case i >= 0x20 && i < 0x7f, i == 0xc2, i >= 0xcc && i < 0xd6, i == 0xe2, i == 0xef, i == 0xf0:
			t[i] = printable
		default:
			t[i] = stray
		}
	}
	for _, c := range []byte{0x1f, 0x28, 'P', 0x78} {
		t[c] |= first
	}
	return
}()
