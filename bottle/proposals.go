package bottle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sync/errgroup"

	"bottled/proposal"
	"bottled/routes"
)

// Pending is a proposal of a bottle's agent, as an operator is shown it.
type Pending struct {
	Bottle, Name string // id and name of the bottle
	Owner        uint32
	Ticket       proposal.Ticket
	Note         string // what approving brings with it beyond what the proposal says
}

// Proposals returns what the agents of the caller's bottles propose, or of one
// bottle where ref is not empty. A bottle whose enforcer does not answer is left out.
func (m *Manager) Proposals(ctx context.Context, c Caller, ref string) ([]Pending, error) {
	var of []*bottle
	if ref != "" {
		b, err := m.find(c, ref)
		if err != nil {
			return nil, err
		}
		of = append(of, b)
	} else {
		m.mu.Lock()
		for _, b := range m.sorted(false) {
			if b.mayTouch(c) {
				of = append(of, b)
			}
		}
		m.mu.Unlock()
	}
	// At once, or one enforcer that does not answer would hide what waits in the others.
	found := make([][]Pending, len(of))
	var group errgroup.Group
	group.SetLimit(statsAtOnce)
	for i, b := range of {
		group.Go(func() (err error) {
			found[i], err = b.pending(ctx, c)
			return err
		})
	}
	err := group.Wait()
	return slices.Concat(found...), err
}

// pending is what the bottle's agent proposes, as its enforcer says.
func (b *bottle) pending(ctx context.Context, c Caller) ([]Pending, error) {
	if b.running() != nil {
		return nil, nil
	}
	bounded, cancel := context.WithTimeout(ctx, adoptTimeout)
	defer cancel()
	s, err := b.worker.Proposals(bounded, 0)
	if err != nil {
		b.m.o.Log.Debug("proposals of a bottle", "bottle", b.record.ID, "error", err)
		return nil, nil
	}
	if len(s.Tickets) == 0 {
		return nil, nil
	}
	end, err := b.m.reading.begin(ctx, c.UID)
	if err != nil {
		return nil, err
	}
	defer end()
	note := b.notes()
	var pending []Pending
	for _, t := range s.Tickets {
		b.show(t)
		pending = append(pending, Pending{
			Bottle: b.record.ID, Name: b.record.Name, Owner: b.record.Owner, Ticket: t, Note: note(t.Proposal),
		})
	}
	return pending, nil
}

// show remembers what the operator saw under a number. An enforcer may be in its
// attacker's hand, and must not put another proposal under a number that was read.
func (b *bottle) show(t proposal.Ticket) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, seen := b.shown[t.Number]; !seen && t.State == proposal.Waiting {
		b.shown[t.Number] = t.Digest
	}
}

// notes returns what says of a proposal what approving would bring with it.
func (b *bottle) notes() func(proposal.Proposal) string {
	inForce := sync.OnceValues(func() (*routes.Manifest, error) {
		return routes.ParseManifest("the manifest in force", b.manifest())
	})
	return func(p proposal.Proposal) string {
		if p.Kind().Relaunch() {
			return "approving tells the agent so; the bottle has to be launched again with another manifest"
		}
		r, ok := p.Route()
		if !ok {
			return ""
		}
		m, err := inForce()
		if err != nil {
			return ""
		}
		if beside, ok := routeFor(m, r.Host); ok && beside.Auth != nil {
			return fmt.Sprintf("the credential of the route to %s (token_ref %q) will be injected there too", r.Host, beside.TokenRef)
		}
		return ""
	}
}

// Decide approves or denies the proposal with that number, which must have been
// shown by [Manager.Proposals]. Approving puts it in force first; where that fails
// the proposal goes on waiting.
func (m *Manager) Decide(ctx context.Context, c Caller, ref string, number uint64, approve bool, answer string) error {
	b, err := m.find(c, ref)
	if err != nil {
		return err
	}
	b.update.Lock()
	defer b.update.Unlock()
	if err := b.running(); err != nil {
		return err
	}
	t, err := b.waiting(ctx, number)
	if err != nil {
		return err
	}
	by := "uid " + strconv.FormatUint(uint64(c.UID), 10)
	return m.settle(ctx, c, b, t, proposal.Decision{State: verdict(approve), By: by, Answer: answer})
}

func verdict(approve bool) proposal.State {
	if approve {
		return proposal.Approved
	}
	return proposal.Denied
}

// settle carries a decision out. The caller holds b.update.
func (m *Manager) settle(ctx context.Context, c Caller, b *bottle, t proposal.Ticket, d proposal.Decision) error {
	d.ID, d.Digest = t.ID, t.Digest
	before := b.grants()
	live := d.State == proposal.Approved && !t.Proposal.Kind().Relaunch()
	if live {
		if err := m.putInForce(ctx, c, b, append(before, t.Proposal)); err != nil {
			return err
		}
	}
	if err := b.worker.Decide(ctx, d); err != nil {
		if live { // it expired meanwhile: what the agent is told and what is in force must be one
			err = errors.Join(err, m.putInForce(ctx, c, b, before))
		}
		return fmt.Errorf("bottle %q: %w", b.record.Name, err)
	}
	m.o.Log.Info("proposal decided", "bottle", b.record.ID, "number", t.Number, "state", d.State.String(), "by", d.By)
	return nil
}

// waiting returns the ticket with that number, provided that it still waits and is
// what was shown.
func (b *bottle) waiting(ctx context.Context, number uint64) (proposal.Ticket, error) {
	s, err := b.worker.Proposals(ctx, 0)
	if err != nil {
		return proposal.Ticket{}, fmt.Errorf("bottle %q: %w", b.record.Name, err)
	}
	b.mu.Lock()
	digest, shown := b.shown[number]
	b.mu.Unlock()
	for _, t := range s.Tickets {
		switch {
		case t.Number != number:
		case t.State != proposal.Waiting:
			return t, fmt.Errorf("%w: proposal %d of bottle %q is %s already", ErrConflict, number, b.record.Name, t.State)
		case !shown:
			return t, fmt.Errorf("%w: proposal %d of bottle %q was shown to nobody yet: look at it with `bottled proposals`", ErrConflict, number, b.record.Name)
		case t.Digest != digest:
			return t, fmt.Errorf("%w: proposal %d of bottle %q is not what was shown under that number: stop the bottle, its enforcer is not to be trusted", ErrConflict, number, b.record.Name)
		default:
			return t, nil
		}
	}
	return proposal.Ticket{}, fmt.Errorf("%w: bottle %q has no proposal %d: `bottled proposals` lists them", ErrConflict, b.record.Name, number)
}

// putInForce makes the table of the manifest and these grants. The caller holds b.update.
func (m *Manager) putInForce(ctx context.Context, c Caller, b *bottle, granted []proposal.Proposal) error {
	t, err := readTable("the manifest in force", b.manifest(), granted...)
	if err != nil {
		return fmt.Errorf("the proposal does not fit the table of bottle %q: %w", b.record.Name, err)
	}
	s, err := b.subject()
	if err != nil {
		return err
	}
	_, err = m.replace(ctx, c, s, b, b.manifest(), t, granted, nil)
	return err
}

// grants is what was approved since the manifest in force was put there.
func (b *bottle) grants() []proposal.Proposal {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]proposal.Proposal(nil), b.record.Granted...)
}
