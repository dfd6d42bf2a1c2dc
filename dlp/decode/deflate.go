package decode

// deflateLeast is how many bytes a stream must say to be worth a decompressor: no secret
// is shorter.
const deflateLeast = 6

// Deflated reports whether p may begin a deflate stream (RFC 1951, section 3.2) that
// says anything. It errs towards true where p is too short to tell. What only looks like
// the header of zlib stands everywhere in binary data, and nearly all of it fails here,
// at a fraction of what it costs to start a decompressor.
func Deflated(p []byte) bool {
	b := bitReader{p: p}
	b.bits(1) // last block
	switch b.bits(2) {
	case 0: // stored: the length and its complement follow at the next byte
		return len(p) < 5 || p[1]^p[3] == 0xff && p[2]^p[4] == 0xff
	case 1:
		return b.fixed()
	case 2:
		return b.dynamic()
	}
	return false
}

// bitReader reads from the low end of each byte. Past the end it reads zeros and is out.
type bitReader struct {
	p  []byte
	at int
}

func (b *bitReader) out() bool { return b.at > 8*len(b.p) }

func (b *bitReader) bits(n int) int {
	v := 0
	for i := range n {
		if b.at>>3 < len(b.p) {
			v |= int(b.p[b.at>>3]>>(b.at&7)&1) << i
		}
		b.at++
	}
	return v
}

// code reads n bits of a Huffman code, which comes high end first, behind those in v.
func (b *bitReader) code(v, n int) int {
	for range n {
		v = v<<1 | b.bits(1)
	}
	return v
}

// fixed reads a block of fixed codes (section 3.2.6) until it has said enough. A match
// that reaches back further than what was said is none, nor are codes without a meaning.
func (b *bitReader) fixed() bool {
	const endOfBlock, shortest, longestCode = 256, 257, 285
	for said := 0; said < deflateLeast; said++ {
		symbol := endOfBlock + b.code(0, 7)
		if symbol >= 280 {
			switch code := b.code(symbol-endOfBlock, 1); {
			case code < 0b11000000: // a literal of eight bits
				continue
			case code >= 0b11001000: // of nine
				b.bits(1)
				continue
			default:
				symbol = 280 + code - 0b11000000
			}
		}
		if symbol == endOfBlock {
			return true
		}
		if symbol >= 265 && symbol < longestCode {
			b.bits((symbol - 261) / 4)
		}
		far := b.code(0, 5)
		distance := far + 1
		if extra := far/2 - 1; extra > 0 {
			distance = (2+far&1)<<extra + 1 + b.bits(extra)
		}
		if b.out() {
			return true
		}
		if symbol > longestCode || far > 29 || distance > said {
			return false
		}
		said += symbol - shortest + 2 // or more
	}
	return true
}

// dynamic reads the head of a block of dynamic codes (section 3.2.7) up to the code for
// the lengths of the codes, which must use up all there is.
func (b *bitReader) dynamic() bool {
	literals, distances, lengths := b.bits(5), b.bits(5), 4+b.bits(4)
	used, codes := 0, 0
	for range lengths {
		if n := b.bits(3); n > 0 {
			used += 1 << 7 >> n
			codes++
		}
	}
	complete := used == 1<<7 || codes == 1 && used == 1<<6
	return b.out() || literals <= 29 && distances <= 29 && complete
}
