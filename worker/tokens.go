package worker

import (
	"fmt"
	"maps"
	"time"

	"bottled/secret"
)

// Expiries say when tokens end, by slot. A slot that is not there does not end.
type Expiries map[string]time.Time

// tokens are those of one table, by slot. They are not changed once in use.
type tokens struct {
	generation uint64
	bySlot     map[string]held
}

// held is a token and when it expires; the zero time is never.
type held struct {
	token   secret.Token
	expires time.Time
}

// newTokens makes secrets of values; one that cannot be injected is an error that
// names its slot, and so is an expiry of no token.
func newTokens(generation uint64, values map[string]string, expires Expiries) (tokens, error) {
	t := tokens{generation, make(map[string]held, len(values))}
	for slot, value := range values {
		token, err := secret.New([]byte(value))
		if err != nil {
			return tokens{}, fmt.Errorf("token slot %q: %w", slot, err)
		}
		t.bySlot[slot] = held{token, expires[slot]}
	}
	for slot := range expires {
		if _, ok := t.bySlot[slot]; !ok {
			return tokens{}, fmt.Errorf("token slot %q: an expiry came without a value", slot)
		}
	}
	return t, nil
}

// get returns the token of a slot. One that has expired is not there: whoever was to
// renew it may be gone, and a dead credential tells an upstream more than none.
func (t tokens) get(slot string, now time.Time) (secret.Token, bool) {
	h, ok := t.bySlot[slot]
	if !ok || h.token.IsZero() || !h.expires.IsZero() && !now.Before(h.expires) {
		return secret.Token{}, false
	}
	return h.token, true
}

// values are all tokens by slot, those that have expired too.
func (t tokens) values() map[string]secret.Token {
	all := make(map[string]secret.Token, len(t.bySlot))
	for slot, h := range t.bySlot {
		all[slot] = h.token
	}
	return all
}

// with returns t with the fresh values in their places, which have to be there.
func (t tokens) with(fresh tokens) (tokens, error) {
	all := tokens{t.generation, maps.Clone(t.bySlot)}
	for slot, h := range fresh.bySlot {
		if _, ok := t.bySlot[slot]; !ok {
			return tokens{}, fmt.Errorf("token slot %q is not one of generation %d", slot, t.generation)
		}
		all.bySlot[slot] = h
	}
	return all, nil
}
