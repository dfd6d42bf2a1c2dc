package scrub

// Matcher finds matches byte by byte, for callers whose stream is not one piece
// of memory, such as the payloads of frames.
type Matcher struct{ mask mask }

// Matcher returns a new Matcher, or nil when s finds nothing.
func (s *Set) Matcher() *Matcher {
	if s == nil || s.machine == nil {
		return nil
	}
	return &Matcher{mask{machine: s.machine}}
}

// Step takes the next byte and returns the length of the match that it ends, or 0.
func (m *Matcher) Step(b byte) int {
	a := m.mask.machine
	m.mask.state = a.next[int(m.mask.state)*a.width+int(a.class[b])]
	n := int(a.match[m.mask.state])
	if n > 0 {
		m.mask.found++
	}
	return n
}

// Held is how many of the latest bytes may begin a match.
func (m *Matcher) Held() int { return m.mask.held() }

// Found is how many matches there were so far.
func (m *Matcher) Found() int { return m.mask.found }
