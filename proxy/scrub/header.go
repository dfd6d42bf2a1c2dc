package scrub

import (
	"net/http"
	"strings"
)

// Header masks every match in the names and values of h, in place, and returns how
// many there were. A field whose name holds a match, in any case, is removed.
func (s *Set) Header(h http.Header) int {
	if s.empty() {
		return 0
	}
	found := 0
	for name, values := range h {
		if s.named(name) {
			delete(h, name)
			found++
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

// named reports whether the name of a field holds a match. Names are compared without
// their case, which no version of HTTP keeps.
func (s *Set) named(name string) bool {
	if len(name) < s.width {
		return false
	}
	name = strings.ToLower(name)
	for _, f := range s.names {
		if strings.Contains(name, f) {
			return true
		}
	}
	return false
}
