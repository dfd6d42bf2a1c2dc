package dlp

import (
	"bytes"
	"encoding/binary"
	"regexp"

	"bottled/dlp/decode"
)

// regexpCost is how much more work a byte is to an expression than to an automaton.
const regexpCost = 30

// match runs the expressions over the windows whose text is there.
func (v *view) match(at stage) {
	kept := v.hits[:0]
	for _, w := range v.hits {
		if v.s.err != nil {
			break
		}
		if w.hi > v.end() && at == more {
			kept = append(kept, w)
			continue
		}
		v.try(v.s.e.rules[w.rule], w)
		if w.hi > v.end() && at == pause {
			kept = append(kept, w)
		}
	}
	v.hits = kept
}

// try runs r over the text of w, as it is and with the escapes of spaces and quotes
// blanked: in a string of JSON, the line before a token ends in "\n", and in a query
// the word before it in "%20", which hides the word boundary.
func (v *view) try(r *rule, w window) {
	lo := max(0, int(w.lo-v.base))
	hi := min(len(v.buf), int(w.hi-v.base))
	text := v.buf[lo:hi]
	re := r.re
	if v.joined {
		re = r.joined
	}
	if !v.apply(r, re, text, w.lo) && bytes.ContainsAny(text, `\%&`) {
		v.scratch = decode.Blank(v.scratch[:0], text)
		v.apply(r, re, v.scratch, w.lo)
	}
}

// apply reports whether re found anything in text, which starts at offset at.
func (v *view) apply(r *rule, re *regexp.Regexp, text []byte, at int64) bool {
	if !bytes.Contains(text, r.shape.must) {
		return false
	}
	v.s.spend(len(text) * regexpCost)
	some := false
	for _, m := range re.FindAllSubmatchIndex(text, 16) {
		from, to := r.secret(m)
		if ok, confirmed := r.real(text[from:to]); ok {
			some = true
			if n := v.s.found(v, r, text[from:to], at+int64(from), confirmed); n > 0 {
				v.apply(r, re, text[from+n:], at+int64(from+n))
				break
			}
		}
	}
	return some
}

// numbers looks for payment cards and IBANs: they have no keyword, but four digits
// in a row.
func (v *view) numbers(at stage) {
	const group, before, behind = 4, 24, 40
	b, i := v.buf, int(v.numbersAt-v.base)
	for {
		if i = nextDigits(b, i); i+group > len(b) {
			break
		}
		j := i + group - 1
		for j >= i && b[j]-'0' <= 9 {
			j--
		}
		if j >= i {
			i = j + 1
			continue
		}
		from, to := i, i+group
		for from > 0 && i-from < before && numeral[b[from-1]] {
			from--
		}
		for to < len(b) && to-i < behind && numeral[b[to]] {
			to++
		}
		if to == len(b) && at == more {
			break
		}
		if to-from >= 13 {
			v.number(from, to)
		}
		i = to
	}
	v.numbersAt = v.base + int64(i)
}

// nextDigits returns a place at or after i before which no four digits in a row begin. Two
// of the four stand side by side at an even place: it looks for two bytes of the column of
// ASCII that has the digits.
func nextDigits(b []byte, i int) int {
	const column, columns, one, top = 0x3030303030303030, 0xf0f0f0f0f0f0f0f0, 0x0001000100010001, 0x8000800080008000
	from := i
	for ; i+16 <= len(b); i += 16 {
		x := (binary.LittleEndian.Uint64(b[i:]) ^ column) & columns // such bytes are zero
		y := (binary.LittleEndian.Uint64(b[i+8:]) ^ column) & columns
		if ((x-one)&^x|(y-one)&^y)&top != 0 {
			break
		}
	}
	return max(from, i-1) // the first may stand before the two
}

// number tries the capital letters, digits and separators of buf[from:to].
func (v *view) number(from, to int) {
	v.s.spend(to - from)
	var plain [64]byte
	var at [64]int
	n, digits := 0, 0
	for i := from; i < to; i++ {
		if c := v.buf[i]; c != ' ' && c != '-' {
			plain[n], at[n] = c, i
			n++
			if c <= '9' {
				digits++
			}
		}
	}
	if digits < 10 {
		return
	}
	found := func(rule, first, last int) {
		if rule >= 0 {
			v.s.found(v, v.s.e.rules[rule], v.buf[at[first]:at[last]+1], v.base+int64(at[first]), true)
		}
	}
	for i := 0; i < n; i++ {
		if plain[i] > '9' {
			if m := iban(plain[i:n]); m > 0 {
				found(v.s.e.iban, i, i+m-1)
			}
			continue
		}
		j := i
		for j < n && plain[j] <= '9' {
			j++
		}
		if card(plain[i:j]) && (i == 0 || plain[i-1] <= '9') {
			found(v.s.e.card, i, j-1)
		}
		i = j - 1
	}
}

var numeral = func() (t [256]bool) {
	for c := range 256 {
		t[c] = c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c == ' ' || c == '-'
	}
	return
}()
