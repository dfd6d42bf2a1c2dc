// Package automaton finds many literals in a byte stream in one pass: the
// Aho-Corasick construction (CACM 18(6), 1975), compiled into a dense table over
// byte classes, so that a step is two dependent loads and no branch.
//
// Matching ignores ASCII case. An [Automaton] may be told to skip bytes: they then
// neither advance nor reset it, so a literal is found whatever skipped bytes are
// strewn into it.
package automaton

import (
	"errors"
	"fmt"
)

// MaxStates bounds the size of one automaton: 2^18 states, at most 40 MiB.
const MaxStates = 1 << 18

// Automaton is immutable and safe for concurrent use.
type Automaton struct {
	class [256]uint32 // byte to column
	next  []uint32    // row (state × stride) + column to row
	match uint32      // rows from here on end a literal
	first uint32      // number of states before match
	out   [][]int32   // literals that end in state first+i
}

// State is where in the stream of one caller the automaton is. Zero is the start.
type State uint32

// New compiles literals; a match is reported by index. Bytes for which skip
// returns true are passed over; nil skips none. A literal that is empty, or made
// of skipped bytes alone, is an error, because it would match everywhere.
func New(literals []string, skip func(byte) bool) (*Automaton, error) {
	a := &Automaton{}
	b := builder{skip: skip, stride: 1}
	for i := range 256 {
		if skip != nil && skip(byte(i)) {
			b.stride = 2 // column 1: stay where you are
			a.class[i] = 1
		}
	}
	for _, lit := range literals {
		for _, c := range []byte(lit) {
			if c = lower(c); a.class[c] == 0 && !b.skips(c) {
				a.class[c] = b.stride
				a.class[upper(c)] = b.stride
				b.stride++
			}
		}
	}
	b.grow()
	for i, lit := range literals {
		if err := b.add(a, lit, int32(i)); err != nil {
			return nil, err
		}
	}
	b.link()
	b.number(a)
	return a, nil
}

// States returns the number of states, for tests of size.
func (a *Automaton) States() int { return int(a.first) + len(a.out) }

// Scan feeds p and calls hit for every literal that ends in it with its index and
// the number of bytes of p up to and including its last one. It returns the state
// to go on from.
func (a *Automaton) Scan(s State, p []byte, hit func(literal int32, end int)) State {
	next, match, row := a.next, a.match, uint32(s)
	for i, c := range p {
		row = next[row+a.class[c]]
		if row >= match {
			a.report(row, i+1, hit)
		}
	}
	return State(row)
}

// Pair feeds p to a and b at once: the two chains of loads run side by side, which
// costs little more than one.
func Pair(a, b *Automaton, s, t State, p []byte, hitA, hitB func(literal int32, end int)) (State, State) {
	x, y := uint32(s), uint32(t)
	nextA, nextB, matchA, matchB := a.next, b.next, a.match, b.match
	for i, c := range p {
		x = nextA[x+a.class[c]]
		y = nextB[y+b.class[c]]
		if x >= matchA {
			a.report(x, i+1, hitA)
		}
		if y >= matchB {
			b.report(y, i+1, hitB)
		}
	}
	return State(x), State(y)
}

func (a *Automaton) report(row uint32, end int, hit func(int32, int)) {
	stride := a.match / a.first
	for _, lit := range a.out[row/stride-a.first] {
		hit(lit, end)
	}
}

type builder struct {
	skip   func(byte) bool
	stride uint32
	next   []uint32 // trie, then automaton; state × stride + column; 0 is "none" in the trie
	fail   []uint32
	out    [][]int32
	order  []uint32 // states in breadth-first order, without the root
}

func (b *builder) skips(c byte) bool { return b.skip != nil && b.skip(c) }

func (b *builder) grow() uint32 {
	b.next = append(b.next, make([]uint32, b.stride)...)
	b.fail = append(b.fail, 0)
	b.out = append(b.out, nil)
	return uint32(len(b.out) - 1)
}

func (b *builder) add(a *Automaton, lit string, id int32) error {
	s := uint32(0)
	for _, c := range []byte(lit) {
		if b.skips(c) {
			continue
		}
		at := s*b.stride + a.class[lower(c)]
		if b.next[at] == 0 {
			if len(b.out) >= MaxStates {
				return fmt.Errorf("automaton: more than %d states", MaxStates)
			}
			n := b.grow()
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
	if b.skip != nil {
		for s := range uint32(len(b.out)) {
			b.next[s*b.stride+1] = s
		}
	}
}

// number writes the table with matching states last, so that one comparison tells
// them, and quiet states in breadth-first order, so that the busy ones share cache
// lines.
func (b *builder) number(a *Automaton) {
	renamed := make([]uint32, len(b.out))
	n := uint32(1)
	for _, s := range b.order {
		if len(b.out[s]) == 0 {
			renamed[s] = n
			n++
		}
	}
	a.first, a.match = n, n*b.stride
	for _, s := range b.order {
		if len(b.out[s]) > 0 {
			renamed[s] = n
			n++
			a.out = append(a.out, b.out[s])
		}
	}
	a.next = make([]uint32, len(b.next))
	for s, to := range renamed {
		for c := range b.stride {
			a.next[to*b.stride+c] = renamed[b.next[uint32(s)*b.stride+c]] * b.stride
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
