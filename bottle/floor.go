package bottle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bottled/policy"
	"bottled/routes"
	"bottled/secret"
	"bottled/worker"
)

// SetPolicy puts another floor in force. Bottles that run keep their tables; what
// they ask for from now on, tokens that are renewed included, is held to it. Nil lets
// nobody do anything.
func (m *Manager) SetPolicy(p *policy.Policy) {
	if p == nil {
		p = new(policy.Policy)
	}
	m.floor.Store(p)
}

func (m *Manager) policy() *policy.Policy { return m.floor.Load() }

// admit holds a table to the operator's floor.
func (m *Manager) admit(s policy.Subject, t table) error {
	if err := m.policy().Check(s, t.manifest, t.effective); err != nil {
		return fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	return nil
}

// subject is whose table is in force. An operator who approves a proposal does not
// make it theirs: the floor stays that of who launched.
func (b *bottle) subject() (policy.Subject, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.record.Subject
	if s == nil {
		return policy.Subject{}, errors.New("an earlier daemon ended before it wrote down whose table is in force: update the routes")
	}
	return policy.Subject{UID: s.UID, Groups: s.Groups}, nil
}

// lent is a token and when it expires; the zero time is never.
type lent struct {
	token   secret.Token
	expires time.Time
}

// tokens are those that a table needs and that can be had: given by the caller, or
// held by the operator for a subject who was admitted with the table.
//
// Why the operator's token cannot be had is the operator's to know. The caller, who
// has to be told something, might be who broke it.
func (m *Manager) tokens(ctx context.Context, s policy.Subject, t table, given map[string]secret.Token) (map[string]lent, error) {
	all := make(map[string]lent)
	for _, ref := range t.refs() {
		if !secret.IsHeld(ref) {
			if token, ok := given[ref]; ok && !token.IsZero() {
				all[ref] = lent{token: token}
			}
			continue
		}
		token, expires, err := m.policy().Token(ctx, s, ref, 0)
		if err != nil {
			m.o.Log.Error("cannot fetch a token of the operator", "token_ref", ref, "for", s.UID, "error", err)
			return nil, fmt.Errorf("%w: the token %q, which the operator holds, cannot be had now: the log of the daemon says why", ErrUnavailable, ref)
		}
		all[ref] = lent{token, expires}
	}
	return all, nil
}

// onlyOwn refuses a value for a token that the operator holds.
func onlyOwn(tokens map[string]secret.Token) error {
	for ref := range tokens {
		if secret.IsHeld(ref) {
			return fmt.Errorf("%w: a value came for %q, which the operator holds: leave it out", ErrInvalid, ref)
		}
	}
	return nil
}

// bySlot arranges tokens as the enforcer knows them.
func bySlot(slots []routes.Slot, tokens map[string]lent) (map[string]string, worker.Expiries) {
	values, expires := make(map[string]string), make(worker.Expiries)
	for _, s := range slots {
		l, ok := tokens[s.Ref.String()]
		if !ok {
			continue
		}
		values[s.Name] = l.token.Reveal()
		if !l.expires.IsZero() {
			expires[s.Name] = l.expires
		}
	}
	return values, expires
}
