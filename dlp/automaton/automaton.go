// Package automaton finds many literals in a byte stream in one pass.
//
// Two sets are looked for at once: plain literals, and strewn ones, into which any
// number of skipped bytes may be strewn; and with them pairs of bytes. Each set is an Aho-Corasick automaton (CACM
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

import (
	"fmt"
	"slices"
)

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
	next   []uint32    // row (state × stride) + column to row, with flags
	stride uint32
	out    map[uint32]output // by row

	strewn *table
	deep   uint32 // rows of strewn from here on are of states as long as the cut, or say something
}

// The flags of what is reached by a byte.
const (
	hit   = 1 << 31 // a plain literal or a cut one ends here
	look  = 1 << 30 // the byte completes a pair
	flags = hit | look
)

// output is what ends at one state of the product.
type output struct {
	plain []int32 // indexes of literals
	enter uint32  // the row to go on from in the automaton of strewn literals; 0: none
}

// New compiles plain and strewn literals; a match is reported by index. Bytes for
// which skip returns true are passed over where strewn ones are looked for; nil skips
// none. A literal that is empty, or a strewn one made of skipped bytes alone, is an
// error, because it would match everywhere. So is reported where two bytes stand side by
// side for which pair returns true; nil reports none. Each kind of first byte makes
// the automaton larger, and they are of one kind if the same bytes may follow them.
func New(plain, strewn []string, skip func(byte) bool, pair func(first, second byte) bool) (*Automaton, error) {
	p, err := newTable(plain, nil, 0)
	if err != nil {
		return nil, err
	}
	s, err := newTable(strewn, skip, 0)
	if err != nil {
		return nil, err
	}
	kinds, err := pairsOf(pair)
	if err != nil {
		return nil, err
	}
	for cut := int32(cutMost); cut > 0; cut-- {
		gate, err := newTable(strewn, skip, cut)
		if err != nil {
			return nil, err
		}
		a := &Automaton{strewn: s, deep: s.rowOfDepth(cut)}
		if a.multiply(p, gate, kinds) {
			return a, nil
		}
	}
	return nil, fmt.Errorf("automaton: more than %d states", maxProduct)
}

// pairs says which pairs of bytes are looked for.
type pairs struct {
	first  [256]uint8  // the kind of a byte that begins pairs, else 0
	second [256]uint64 // a bit for each kind that the byte may follow
}

// maxKinds bounds the kinds of first bytes, 0 included.
const maxKinds = 64

func pairsOf(pair func(first, second byte) bool) (*pairs, error) {
	p := &pairs{}
	kinds := map[[256]bool]uint8{{}: 0}
	for first := 0; first < 256 && pair != nil; first++ {
		var follows [256]bool
		for second := range 256 {
			follows[second] = pair(byte(first), byte(second))
		}
		kind, known := kinds[follows]
		if !known {
			if len(kinds) == maxKinds {
				return nil, fmt.Errorf("automaton: more than %d kinds of pairs", maxKinds-1)
			}
			kind = uint8(len(kinds))
			kinds[follows] = kind
			for second, yes := range follows {
				if yes {
					p.second[second] |= 1 << kind
				}
			}
		}
		p.first[first] = kind
	}
	return p, nil
}

// multiply makes a the product of p, of gate, the automaton of the cut literals, and of
// the kind of pair that the last byte began. It reports whether that is small enough.
func (a *Automaton) multiply(p, gate *table, pairs *pairs) bool {
	type sign struct {
		p, g   uint32
		first  uint8
		second uint64
	}
	columns := map[sign]uint32{}
	var column []sign
	for c := range 256 {
		all := sign{p.class[c], gate.class[c], pairs.first[c], pairs.second[c]}
		if _, ok := columns[all]; !ok {
			columns[all] = uint32(len(column))
			column = append(column, all)
		}
		a.class[c] = columns[all]
	}
	a.stride = uint32(len(column))
	a.out = map[uint32]output{}
	whole := gate.rowsIn(a.strewn)

	states := []state{{}} // in breadth-first order, so that the busy ones share cache lines
	rows := map[uint64]uint32{}
	for i := 0; i < len(states); i++ {
		from := states[i]
		for _, c := range column {
			to := state{p.next[from.p+c.p], gate.next[from.g+c.g], c.first}
			row := uint32(0)
			if to != (state{}) {
				var known bool
				if row, known = rows[to.key()]; !known {
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
					rows[to.key()] = row
				}
			}
			if from.after > 0 && c.second>>from.after&1 != 0 {
				row |= look
			}
			a.next = append(a.next, row)
		}
	}
	a.next = slices.Clone(a.next) // without what it grew into
	return true
}

// state is one of the product: a row of each automaton and the kind of pair begun.
type state struct {
	p, g  uint32
	after uint8
}

// key tells states apart: a row has less than 27 bits, a kind 6.
func (s state) key() uint64 { return uint64(s.p)<<33 | uint64(s.g)<<6 | uint64(s.after) }
