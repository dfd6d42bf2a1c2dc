package bottle

import (
	"context"

	"bottled/proposal"
)

// preapprove looks at what the bottle's agent proposes, each time that there is
// news, and approves what the operator's policy says may be added without asking.
// Everything else waits for a person. It returns when ctx ends.
func (b *bottle) preapprove(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.proposed:
		}
		s, err := b.worker.Proposals(ctx, 0)
		if err != nil {
			b.m.o.Log.Debug("proposals of a bottle", "bottle", b.record.ID, "error", err)
			continue // they wait for a person, as those do that no policy knows
		}
		for _, t := range s.Tickets {
			if t.State == proposal.Waiting {
				b.consider(ctx, t)
			}
		}
	}
}

// news tells preapprove that a proposal may wait.
func (b *bottle) news() {
	select {
	case b.proposed <- struct{}{}:
	default: // it is told already
	}
}

// consider approves a proposal that the policy lets pass. One that brings with it
// more than it says, such as a credential, is for a person.
func (b *bottle) consider(ctx context.Context, t proposal.Ticket) {
	r, ok := t.Proposal.Route()
	if !ok || b.notes()(t.Proposal) != "" {
		return
	}
	s, err := b.subject()
	if err != nil {
		return
	}
	rule, ok := b.m.policy().Preapproved(s, r.Host, r.Methods)
	if !ok {
		return
	}
	b.update.Lock()
	defer b.update.Unlock()
	if b.running() != nil {
		return
	}
	c := Caller{UID: s.UID, Groups: s.Groups}
	err = b.m.settle(ctx, c, b, t, proposal.Decision{State: proposal.Approved, By: "policy: " + rule})
	if err != nil {
		b.m.o.Log.Info("a proposal that the policy lets pass waits for a person", "bottle", b.record.ID, "number", t.Number, "error", err)
	}
}
