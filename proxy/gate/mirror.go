package gate

import (
	"strings"
	"sync/atomic"
)

// mirror is the gate's own copy of the allowed names. It shares no code with
// package routes on purpose: a mistake there must not be a mistake here.
type mirror struct {
	set atomic.Pointer[nameSet]
}

type nameSet struct {
	exact  map[string]bool
	suffix map[string]bool // of "*.example.com": ".example.com"
}

func (m *mirror) store(patterns []string) {
	s := &nameSet{exact: map[string]bool{}, suffix: map[string]bool{}}
	for _, p := range patterns {
		p = strings.ToLower(strings.Trim(p, "[]"))
		if rest, ok := strings.CutPrefix(p, "*"); ok {
			if len(rest) > 1 && rest[0] == '.' {
				s.suffix[rest] = true
			}
			continue
		}
		if p != "" {
			s.exact[p] = true
		}
	}
	m.set.Store(s)
}

func (m *mirror) has(name string) bool {
	s := m.set.Load()
	if s == nil || name == "" {
		return false
	}
	if s.exact[name] {
		return true
	}
	for i := 1; i < len(name); i++ {
		if name[i] == '.' && s.suffix[name[i:]] {
			return true
		}
	}
	return false
}
