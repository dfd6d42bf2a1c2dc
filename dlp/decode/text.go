package decode

// textLeast is how many printable bytes in a row are taken for text.
const textLeast = 10

// Text reports whether p has ten printable bytes in a row, NULs between them
// aside, or holds what may be the start of compressed data: whether it is worth
// looking at closely.
func Text(p []byte) bool {
	n, last := 0, byte(0)
	for i, c := range p {
		if k := kinds[c]; k == printable {
			if n++; n >= textLeast {
				return true
			}
		} else if k == stray {
			n = 0
		}
		if signature(last, c, i) {
			return true
		}
		last = c
	}
	return false
}

// Base64Text reports whether a run of base64 decodes to [Text] at any phase. It
// decodes all phases in one pass: after each character, the last four are one group
// of one of them.
func Base64Text(run []byte) bool {
	var acc uint64
	var streak [4]int
	for i, c := range run {
		acc = acc<<6 | uint64(Base64.value[c]&63)
		if i < 3 {
			continue
		}
		n := &streak[i&3]
		x, a, b, c := byte(acc>>24), byte(acc>>16), byte(acc>>8), byte(acc)
		all := kinds[a] | kinds[b]<<2 | kinds[c]<<4
		if all == printable|printable<<2|printable<<4 {
			if *n += 3; *n >= textLeast {
				return true
			}
		} else {
			for _, k := range [3]uint8{kinds[a], kinds[b], kinds[c]} {
				if k == printable {
					if *n++; *n >= textLeast {
						return true
					}
				} else if k == stray {
					*n = 0
				}
			}
		}
		if i >= 7 && signature(x, a, i) || signature(a, b, i) || signature(b, c, i) {
			return true
		}
	}
	return false
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
)

// kinds takes the first byte of a rune that may look like ASCII as printable and
// the bytes behind it as nothing.
var kinds = func() (t [256]uint8) {
	for i := range t {
		switch {
		case i == 0, i >= 0x80 && i < 0xc0:
			t[i] = neutral
		case i >= 0x20 && i < 0x7f, i == 0xc2, i >= 0xcc && i < 0xd6, i == 0xe2, i == 0xef, i == 0xf0:
			t[i] = printable
		default:
			t[i] = stray
		}
	}
	return
}()
