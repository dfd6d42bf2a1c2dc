package scrub

import "net/http"

// MinSecret is the shortest secret, in bytes, that a [Set] looks for. Anything
// shorter occurs by chance, and a text full of asterisks protects nobody.
const MinSecret = 6

// Set is what to look for. It is safe for concurrent use; its zero value and nil
// find nothing.
type Set struct{ machine *automaton }

// New returns a Set for the secrets; those shorter than [MinSecret] are left out.
// Memory is about 2 KiB a byte of secret.
func New(secrets ...string) *Set {
	var all []string
	for _, s := range secrets {
		if len(s) >= MinSecret {
			all = append(all, forms(s)...)
		}
	}
	if len(all) == 0 {
		return &Set{}
	}
	return &Set{machine: build(all)}
}

// Bytes masks every match in p, in place, and returns how many there were.
func (s *Set) Bytes(p []byte) int {
	if s == nil || s.machine == nil {
		return 0
	}
	m := mask{machine: s.machine}
	m.run(p, 0)
	return m.found
}

// String returns t with every match masked, and how many there were.
func (s *Set) String(t string) (string, int) {
	if s == nil || s.machine == nil {
		return t, 0
	}
	b := []byte(t)
	if n := s.Bytes(b); n > 0 {
		return string(b), n
	}
	return t, 0
}

// Header masks every match in the names and values of h, in place. A field whose
// name holds a match is removed.
func (s *Set) Header(h http.Header) int {
	found := 0
	for name, values := range h {
		if _, n := s.String(name); n > 0 {
			delete(h, name)
			found += n
			continue
		}
		for i, v := range values {
			clean, n := s.String(v)
			values[i] = clean
			found += n
		}
	}
	return found
}

// mask carries the machine's state from one piece of a stream to the next.
type mask struct {
	machine *automaton
	state   int32
	found   int
}

// run feeds p[from:] and masks matches in p. A match may begin before from, as
// far back as the bytes that held says were kept.
func (m *mask) run(p []byte, from int) {
	a, s := m.machine, m.state
	for i := from; i < len(p); i++ {
		s = a.next[int(s)*a.width+int(a.class[p[i]])]
		if n := int(a.match[s]); n > 0 {
			for j := i - n + 1; j <= i; j++ {
				p[j] = '*'
			}
			m.found++
		}
	}
	m.state = s
}

// held is how many bytes at the end of what was fed may begin a match.
func (m *mask) held() int { return int(m.machine.depth[m.state]) }
