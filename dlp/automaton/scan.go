package automaton

// Cursor is where in one stream an [Automaton] is. The zero value is the start. It
// keeps the memory of its scans, and is not safe for concurrent use.
type Cursor struct {
	row   uint32 // of the product, without flags
	deep  uint32 // of the automaton of whole strewn literals while one may be under way, else 0
	marks [lanes][]mark
}

// mark is where there is something to say: the number of bytes up to there.
type mark struct {
	row uint32 // with flags
	end int
}

const (
	lanes   = 4
	laneMin = 64 // bytes; below, putting the lanes together costs more than they save
)

// Reset puts c back to the start.
func (c *Cursor) Reset() { c.row, c.deep = 0, 0 }

// Scan feeds p and calls plain and strewn for every literal that ends in it, with its
// index and the number of bytes of p up to and including its last one, and pair with
// that number for every pair. The calls of each are in the order of p; between them there
// is none.
//
// A long p is read in lanes, side by side. All but the first begin without knowing what
// stands before them, so the beginning of each is read again from where the lane before
// it ended, until that makes no difference any more.
func (a *Automaton) Scan(c *Cursor, p []byte, plain, strewn func(literal int32, end int), pair func(end int)) {
	n := len(p) / lanes
	if n < laneMin {
		n = 0
	}
	for i := range c.marks {
		c.marks[i] = c.marks[i][:0]
	}
	v := voice{a: a, c: c, p: p, plain: plain, strewn: strewn, pair: pair}
	if c.deep != 0 {
		v.follow(0)
	}
	row := c.row
	if n > 0 {
		ends := a.sides(c, p, n)
		row = ends[0]
		for _, m := range c.marks[0] {
			v.say(m.row, m.end)
		}
		for i := 1; i < lanes; i++ {
			row = v.join(row, ends[i], i, n)
		}
	}
	c.row = v.rest(row, lanes*n)
}

// sides reads the lanes of n bytes each and returns the rows that they end in.
func (a *Automaton) sides(c *Cursor, p []byte, n int) [lanes]uint32 {
	p0, p1, p2, p3 := p[:n], p[n:][:n], p[2*n:][:n], p[3*n:][:n]
	rows := [lanes]uint32{c.row}
	for i := 0; i < n; {
		i, rows = quiet(a.next, &a.class, p0, p1, p2, p3, i, rows)
		for lane, row := range rows {
			rows[lane] = c.mark(lane, row, i)
		}
	}
	return rows
}

// quiet reads the lanes from i on, up to and including the first place where one of them
// has something to say. It stands apart so that all it works with stays in registers.
func quiet(next []uint32, class *[256]uint32, p0, p1, p2, p3 []byte, i int, rows [lanes]uint32) (int, [lanes]uint32) {
	w, x, y, z := rows[0], rows[1], rows[2], rows[3]
	p1, p2, p3 = p1[:len(p0)], p2[:len(p0)], p3[:len(p0)]
	for ; i < len(p0); i++ {
		w = next[w+class[p0[i]]]
		x = next[x+class[p1[i]]]
		y = next[y+class[p2[i]]]
		z = next[z+class[p3[i]]]
		if (w|x|y|z)&flags != 0 {
			i++
			break
		}
	}
	return i, [lanes]uint32{w, x, y, z}
}

// mark notes a row that has something to say, and returns it without flags.
func (c *Cursor) mark(lane int, row uint32, end int) uint32 {
	if row&flags != 0 {
		c.marks[lane] = append(c.marks[lane], mark{row, end})
	}
	return row &^ flags
}

// voice reports what one scan finds.
type voice struct {
	a             *Automaton
	c             *Cursor
	p             []byte
	covered       int // before it, the automaton of whole strewn literals has been
	plain, strewn func(int32, int)
	pair          func(int)
}

// join reads a lane of n bytes again, from the row that the text before it leads to,
// until that is the row that the lane was in there. It says what the lane holds and
// returns the row at its end, which is end if the two came together.
func (v *voice) join(row, end uint32, lane, n int) uint32 {
	a, from, blind := v.a, lane*n, uint32(0)
	i := 0
	for ; i < n && row != blind; i++ {
		c := a.class[v.p[from+i]]
		row, blind = v.step(row, c, from+i+1), a.next[blind+c]&^flags
	}
	if row != blind {
		return row
	}
	for _, m := range v.c.marks[lane] {
		if m.end > i {
			v.say(m.row, from+m.end)
		}
	}
	return end
}

// rest reads what is left from there on.
func (v *voice) rest(row uint32, from int) uint32 {
	next, class := v.a.next, &v.a.class
	for i, c := range v.p[from:] {
		if row = next[row+class[c]]; row&flags != 0 {
			v.say(row, from+i+1)
			row &^= flags
		}
	}
	return row
}

func (v *voice) step(row, column uint32, end int) uint32 {
	if row = v.a.next[row+column]; row&flags != 0 {
		v.say(row, end)
	}
	return row &^ flags
}

// say reports what ends at row, which has flags.
func (v *voice) say(row uint32, end int) {
	if row&look != 0 {
		v.pair(end)
	}
	if row&hit == 0 {
		return
	}
	o := v.a.out[row&^flags]
	for _, lit := range o.plain {
		v.plain(lit, end)
	}
	if o.enter != 0 && end > v.covered {
		v.c.deep = o.enter
		v.ends(end)
		v.follow(end)
	}
}

// follow goes on with the whole strewn literals until none can be under way.
func (v *voice) follow(from int) {
	s, row := v.a.strewn, v.c.deep
	for i := from; i < len(v.p); i++ {
		c := s.class[v.p[i]]
		if c == skipped {
			continue
		}
		if row = s.next[row+c]; row < v.a.deep {
			v.c.deep, v.covered = 0, i+1
			return
		}
		v.c.deep = row
		v.ends(i + 1)
	}
	v.c.deep, v.covered = row, len(v.p)
}

// ends reports the strewn literals that end here.
func (v *voice) ends(end int) {
	for _, lit := range v.a.strewn.ends(v.c.deep) {
		v.strewn(lit, end)
	}
}
