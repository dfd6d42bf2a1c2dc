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

// admit holds a table to the operator's floor, and returns it with the proxy that the
// operator has its bottle go through.
func (m *Manager) admit(s policy.Subject, t table) (table, error) {
	p := m.policy()
	if err := p.Check(s, t.manifest, t.effective); err != nil {
		return table{}, fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	return t.through(p.Chain(s, t.manifest)), nil
}

// admit is [Manager.admit] for a bottle that runs, which the operator may have go
// through another proxy by now, or through none.
func (b *bottle) admit(s policy.Subject, t table) (table, error) {
	t, err := b.m.admit(s, t)
	if err != nil {
		return table{}, err
	}
	if old := b.record.Chain; (old.Operator || t.chain.operator != nil) && old != t.chain.settled() {
		return table{}, fmt.Errorf("%w: upstream_proxy in the policy of this host differs from when bottle %q was launched, and what runs keeps the proxy it has: launch it again", ErrConflict, b.record.Name)
	}
	return t, nil
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

// tokens are those that a table needs and that can be had, by slot: given by the
// caller, or held by the operator for a subject who was admitted with the table.
//
// Why the operator's token cannot be had is the operator's to know. The caller, who
// has to be told something, might be who broke it.
func (m *Manager) tokens(ctx context.Context, s policy.Subject, t table, given map[string]secret.Token) (map[string]lent, error) {
	all := make(map[string]lent)
	for _, slot := range t.slots {
		ref := slot.Ref.String()
		if slot.Ref.Kind == routes.TokenEnv {
			if token, ok := given[ref]; ok && !token.IsZero() {
				all[slot.Name] = lent{token: token}
			}
			continue
		}
		l, err := m.fetch(ctx, s, t, slot, 0)
		if err != nil {
			m.o.Log.Error("cannot fetch a token of the operator", "token_ref", ref, "for", s.UID, "error", err)
			return nil, fmt.Errorf("%w: %s, which the operator holds, cannot be had now: the log of the daemon says why", ErrUnavailable, t.called(slot))
		}
		all[slot.Name] = l
	}
	return all, nil
}

// fetch fetches a token that the operator holds.
func (m *Manager) fetch(ctx context.Context, s policy.Subject, t table, slot routes.Slot, spare time.Duration) (l lent, err error) {
	if t.operators(slot) {
		l.token, l.expires, err = t.chain.operator.Token(ctx, spare)
	} else {
		l.token, l.expires, err = m.policy().Token(ctx, s, slot.Ref.String(), spare)
	}
	return l, err
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

// reveal is what the enforcer is given of tokens, by slot.
func reveal(tokens map[string]lent) (map[string]string, worker.Expiries) {
	values, expires := make(map[string]string), make(worker.Expiries)
	for slot, l := range tokens {
		values[slot] = l.token.Reveal()
		if !l.expires.IsZero() {
			expires[slot] = l.expires
		}
	}
	return values, expires
}
