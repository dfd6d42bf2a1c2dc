package scrub

// Sets tells which [Set] is in force. It may change in the middle of a stream.
type Sets interface{ Load() *Set }

// Mask masks a stream of which it is given one piece after another, and whose messages
// are told by [Mask.Rest]. It is not safe for concurrent use.
type Mask struct {
	sets  Sets
	loose bool   // lets go what is too short to give anything away
	tail  []byte // the latest bytes of the stream, as they came: they may begin a match
	given int    // of tail, passed on already
	over  int    // of tail, part of a match that was found
	found int
	buf   []byte
}

// NewMask returns a Mask of what sets says at each piece.
func NewMask(sets Sets) *Mask { return &Mask{sets: sets} }

// Next takes the next piece of the stream and returns what may be passed on: what was
// held back before it, and of it all but what is held back now. The result is in p's
// memory or the Mask's own, and stays valid until the next call.
func (m *Mask) Next(p []byte) []byte {
	if len(m.tail) == 0 {
		return m.pass(p, false)
	}
	m.buf = append(append(m.buf[:0], m.tail...), p...)
	return m.pass(m.buf, false)
}

// Rest returns what is held back, because it has to be passed on: a message is over.
// It is remembered, should the stream go on.
func (m *Mask) Rest() []byte {
	m.buf = append(m.buf[:0], m.tail...)
	from := m.given
	m.run(m.sets.Load(), m.buf, true)
	m.given = len(m.tail)
	return m.buf[from:]
}

// Held is how many bytes of the stream have not been passed on.
func (m *Mask) Held() int { return len(m.tail) - m.given }

// Found is how many matches there were so far. Those that overlap are one.
func (m *Mask) Found() int { return m.found }

// pass masks buf, which begins with the tail, and returns what of it may be passed on.
func (m *Mask) pass(buf []byte, last bool) []byte {
	s, from := m.sets.Load(), m.given
	to := m.run(s, buf, last)
	m.tail = append(m.tail[:0], buf[to:]...)
	m.given = max(0, from-to)
	if n := len(m.tail); m.loose && n > 0 && n <= s.loose {
		cover(buf[to : to+min(m.over, n)])
		to, m.given = len(buf), n
	}
	return buf[from:max(from, to)]
}

// run masks the matches in buf up to where one may begin that buf does not hold to its
// end, and returns that place. With last there is none: no more will come.
func (m *Mask) run(s *Set, buf []byte, last bool) int {
	if s.empty() {
		return len(buf)
	}
	hold, begin, end := len(buf), 0, m.over // what is covered by matches, from begin to end
	for at := s.next(buf, 0); at < len(buf); at = s.next(buf, at+1) {
		n, open := s.match(buf[at:])
		if open && !last {
			hold = at
			break
		}
		switch {
		case at+n <= m.given || n == 0: // it was counted, or is none
		case at < end:
			end = max(end, at+n)
		default:
			cover(buf[begin:end])
			begin, end = at, at+n
			m.found++
		}
	}
	cover(buf[begin:min(end, hold)])
	m.over = max(0, end-hold)
	return hold
}

func cover(p []byte) {
	for i := range p {
		p[i] = '*'
	}
}
