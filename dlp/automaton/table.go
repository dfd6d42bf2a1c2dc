package automaton

import (
	"errors"
	"fmt"
)

// table is the automaton of one set of literals.
type table struct {
	class  [256]uint32 // byte to column
	stride uint32
	next   []uint32  // row (state × stride) + column to row
	match  uint32    // rows from here on end a literal
	out    [][]int32 // literals that end in the states from match on
	depth  []int32   // of every state, in bytes; ascending before match
}

// skipped is the column of the bytes that are passed over, and 0 that of those in no
// literal.
const skipped = 1

// newTable compiles literals, or the first cut bytes of each; 0 cuts nothing.
func newTable(literals []string, skip func(byte) bool, cut int32) (*table, error) {
	t := &table{}
	b := builder{skip: skip, stride: skipped + 1}
	for i := range 256 {
		if b.skips(byte(i)) {
			t.class[i] = skipped
		}
	}
	for _, lit := range literals {
		for _, c := range []byte(lit) {
			if c = lower(c); t.class[c] == 0 && !b.skips(c) {
				t.class[c] = b.stride
				t.class[upper(c)] = b.stride
				b.stride++
			}
		}
	}
	b.grow(0)
	for i, lit := range literals {
		if err := b.add(t, lit, int32(i), cut); err != nil {
			return nil, err
		}
	}
	b.link()
	b.number(t)
	return t, nil
}

// ends returns the literals that end at row.
func (t *table) ends(row uint32) []int32 {
	if row < t.match {
		return nil
	}
	return t.out[(row-t.match)/t.stride]
}

// rowOfDepth returns the first row whose state is at least depth bytes deep or ends a
// literal.
func (t *table) rowOfDepth(depth int32) uint32 {
	for s := range t.match / t.stride {
		if t.depth[s] >= depth {
			return s * t.stride
		}
	}
	return t.match
}

// rowsIn returns, for each row of t, the row of the same string in o, whose literals
// are those of t with more behind them.
func (t *table) rowsIn(o *table) map[uint32]uint32 {
	rows := map[uint32]uint32{0: 0}
	todo := []uint32{0}
	for len(todo) > 0 {
		from := todo[0]
		todo = todo[1:]
		for c := range 256 {
			to := t.next[from+t.class[c]]
			if _, known := rows[to]; !known && t.depth[to/t.stride] == t.depth[from/t.stride]+1 {
				rows[to] = o.next[rows[from]+o.class[c]]
				todo = append(todo, to)
			}
		}
	}
	return rows
}

type builder struct {
	skip   func(byte) bool
	stride uint32
	next   []uint32 // trie, then automaton; state × stride + column; 0 is "none" in the trie
	fail   []uint32
	depth  []int32
	out    [][]int32
	order  []uint32 // states in breadth-first order, without the root
}

func (b *builder) skips(c byte) bool { return b.skip != nil && b.skip(c) }

func (b *builder) grow(depth int32) uint32 {
	b.next = append(b.next, make([]uint32, b.stride)...)
	b.fail = append(b.fail, 0)
	b.out = append(b.out, nil)
	b.depth = append(b.depth, depth)
	return uint32(len(b.out) - 1)
}

func (b *builder) add(t *table, lit string, id int32, cut int32) error {
	s := uint32(0)
	for _, c := range []byte(lit) {
		if b.skips(c) {
			continue
		}
		if cut > 0 && b.depth[s] == cut {
			break
		}
		at := s*b.stride + t.class[lower(c)]
		if b.next[at] == 0 {
			if len(b.out) >= MaxStates {
				return fmt.Errorf("automaton: more than %d states", MaxStates)
			}
			n := b.grow(b.depth[s] + 1)
			b.next[at] = n
		}
		s = b.next[at]
	}
	if s == 0 {
		return errors.New("automaton: an empty literal matches everywhere")
	}
	b.out[s] = append(b.out[s], id)
	return nil
}

// link turns the trie into a complete automaton, breadth first.
func (b *builder) link() {
	for c := range b.stride {
		if s := b.next[c]; s != 0 {
			b.order = append(b.order, s)
		}
	}
	for i := 0; i < len(b.order); i++ {
		s := b.order[i]
		f := b.fail[s]
		b.out[s] = append(b.out[s], b.out[f]...)
		for c := range b.stride {
			at := s*b.stride + c
			over := b.next[f*b.stride+c]
			if t := b.next[at]; t != 0 {
				b.fail[t] = over
				b.order = append(b.order, t)
			} else {
				b.next[at] = over
			}
		}
	}
	for s := range uint32(len(b.out)) {
		b.next[s*b.stride+skipped] = s
	}
}

// number writes the table with matching states last, so that one comparison tells
// them, and quiet states in breadth-first order, so that one comparison tells how deep
// they are.
func (b *builder) number(t *table) {
	order := append(make([]uint32, 0, len(b.out)), 0)
	for _, ends := range []bool{false, true} {
		if ends {
			t.match = uint32(len(order)) * b.stride
		}
		for _, s := range b.order {
			if len(b.out[s]) > 0 == ends {
				order = append(order, s)
			}
		}
	}
	rows := make([]uint32, len(order))
	for to, s := range order {
		rows[s] = uint32(to) * b.stride
		t.depth = append(t.depth, b.depth[s])
		if len(b.out[s]) > 0 {
			t.out = append(t.out, b.out[s])
		}
	}
	t.stride = b.stride
	t.next = make([]uint32, 0, len(b.next))
	for _, s := range order {
		for _, to := range b.next[s*b.stride : (s+1)*b.stride] {
			t.next = append(t.next, rows[to])
		}
	}
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		c -= 'a' - 'A'
	}
	return c
}
