package proxy

import (
	"sync"

	"bottled/proxy/scrub"
	"bottled/secret"
)

// secretSets keeps the scrubbing machine of each slot while its token stays the
// same. It is safe for concurrent use.
type secretSets struct {
	mu   sync.Mutex
	sets map[string]secretSet
}

type secretSet struct {
	of  string // the token's value; it never leaves this struct
	set *scrub.Set
}

func (s *secretSets) get(slot string, token secret.Token) *scrub.Set {
	value := token.Reveal()
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, ok := s.sets[slot]; ok && have.of == value {
		return have.set
	}
	if s.sets == nil {
		s.sets = map[string]secretSet{}
	}
	made := scrub.New(value)
	s.sets[slot] = secretSet{value, made}
	return made
}
