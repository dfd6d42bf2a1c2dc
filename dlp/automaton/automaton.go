// Package automaton finds many literals in a byte stream in one pass.
//
// Two sets are looked for at once: plain literals, and strewn ones, into which any
// number of skipped bytes may be strewn. Each set is an Aho-Corasick automaton (CACM
// 18(6), 1975) over byte classes. Their product, in which the strewn literals are cut
// to their first few bytes so that it stays small, is one table: a byte costs two
// dependent loads and no branch. Where a cut literal appears, which is rare, the
// automaton of the whole ones goes on by itself.
//
// The loads of a step wait for each other, but not for those of another step, so a
// long text is read at four places at a time: see [Automaton.Scan].
//
// Matching ignores ASCII case.
package automaton

import "fmt"

// MaxStates bounds the size of the automaton of one set: 2^18 states, at most 40 MiB.
const MaxStates = 1 << 18

// maxProduct bounds the product: 2^15 states, some 8 MiB.
const maxProduct = 1 << 15

// cutMost is the number of bytes that strewn literals are cut to unless the product
// grows too large. Three turn up in ordinary text all the time.
const cutMost = 4

// Automaton is immutable and safe for concurrent use.
type Automaton struct {
	class  [256]uint32 // byte to column
	next   []uint32    // row (state × stride) + column to row; with hit set if the state has something to say
	stride uint32
	out    map[uint32]output // by row

	strewn *table
	deep   uint32 // rows of strewn from here on are of states as long as the cut, or say something
}

// hit marks a row at whose state a plain literal or a cut one ends.
const hit = 1 << 31

// output is what ends at one state of the product.
type output struct {
	plain []int32 // indexes of literals
	enter uint32  // the row to go on from in the automaton of strewn literals; 0: none
}

// New compiles plain and strewn literals; a match is reported by index. Bytes for
// which skip returns true are passed over where strewn ones are looked for; nil skips
// none. A literal that is empty, or a strewn one made of skipped bytes alone, is an
// error, because it would match everywhere.
func New(plain, strewn []string, skip func(byte) bool) (*Automaton, error) {
	p, err := newTable(plain, nil, 0)
	if err != nil {
		return nil, err
	}
	s, err := newTable(strewn, skip, 0)
	if err != nil {
		return nil, err
	}
	for cut := int32(cutMost); cut > 0; cut-- {
		gate, err := newTable(strewn, skip, cut)
		if err != nil {
			return nil, err
		}
		a := &Automaton{strewn: s, deep: s.rowOfDepth(cut)}
		if a.multiply(p, gate) {
			return a, nil
		}
	}
	return nil, fmt.Errorf("automaton: more than %d states", maxProduct)
}

// multiply makes a the product of p and gate, the automaton of the cut literals. It
// reports whether that is small enough.
func (a *Automaton) multiply(p, gate *table) bool {
	type pair struct{ p, g uint32 }
	columns := map[pair]uint32{}
	var column []pair
	for c := range 256 {
		both := pair{p.class[c], gate.class[c]}
		if _, ok := columns[both]; !ok {
			columns[both] = uint32(len(column))
			column = append(column, both)
		}
		a.class[c] = columns[both]
	}
	a.stride = uint32(len(column))
	a.out = map[uint32]output{}
	whole := gate.rowsIn(a.strewn)

	states := []pair{{}} // in breadth-first order, so that the busy ones share cache lines
	rows := map[pair]uint32{{}: 0}
	for i := 0; i < len(states); i++ {
		from := states[i]
		for _, c := range column {
			to := pair{p.next[from.p+c.p], gate.next[from.g+c.g]}
			row := uint32(0)
			if to != (pair{}) {
				var known bool
				if row, known = rows[to]; !known {
					if len(states) == maxProduct {
						return false
					}
					row = uint32(len(states)) * a.stride
					states = append(states, to)
					o := output{plain: p.ends(to.p)}
					if to.g >= gate.match {
						o.enter = whole[to.g]
					}
					if o.plain != nil || o.enter != 0 {
						a.out[row] = o
						row |= hit
					}
					rows[to] = row
				}
			}
			a.next = append(a.next, row)
		}
	}
	return true
}
