package bottle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"bottled/audit"
	"bottled/policy"
	"bottled/routes"
	"bottled/worker"
)

// A token of the operator that comes from a command ends. It is fetched again
// before it does, and put in the place of the old one; the table, its generation
// and every connection stay. Where that fails it is tried again, and the enforcer
// injects nothing once the token has ended: requests on its routes are refused then.
//
// The whole floor is asked again each time, so a token that the operator takes away
// is gone when its life is.

// A term is the life of one token.
type term struct {
	expires time.Time     // zero where a daemon before this one knew
	spare   time.Duration // how much of it should be left when the next one is there
	due     time.Time     // when to fetch that
}

// newTerm has a token renewed when a quarter of its life is left, or five minutes.
func newTerm(expires time.Time) term {
	spare := min(time.Until(expires)/4, 5*time.Minute)
	return term{expires, spare, expires.Add(-spare)}
}

// again is the term after an attempt that failed.
func (t term) again() term {
	t.due = time.Now().Add(min(max(t.spare/5, time.Second), 30*time.Second))
	return t
}

const (
	// renewTimeout bounds one attempt; a command has 30 s of its own.
	renewTimeout = 45 * time.Second
	// longestSleep bounds a wait by the clock of the machine's uptime, which stands
	// still while the machine sleeps; expiry is by the clock on the wall.
	longestSleep = time.Minute
)

// setTerms says which tokens of the table in force are to be renewed: of those that
// are given the ones that expire, of those that are kept the ones that did in the slot
// that they had.
func (b *bottle) setTerms(t table, given map[string]lent, keep map[string]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	terms := make(map[string]term)
	for _, s := range t.slots {
		if l, ok := given[s.Name]; !ok {
			if kept, ok := b.terms[keep[s.Name]]; ok {
				terms[s.Name] = kept
			}
		} else if !l.expires.IsZero() {
			terms[s.Name] = newTerm(l.expires)
		}
	}
	b.terms = terms
	b.wakeRenewal()
}

// resumeTerms makes every token that may expire due: an earlier daemon knew when.
func (b *bottle) resumeTerms() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.terms = make(map[string]term)
	for slot, ref := range b.record.refs() {
		if r, err := routes.ParseTokenRef(ref); err == nil && r.Kind == routes.TokenCommand {
			b.terms[slot] = term{due: time.Now()}
		}
	}
	b.wakeRenewal()
}

func (b *bottle) wakeRenewal() {
	select {
	case b.renewal <- struct{}{}:
	default: // it will look anyway
	}
}

// renew keeps the tokens of the bottle alive for as long as it is overseen.
func (b *bottle) renew() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-b.ended
		cancel()
	}()
	for ctx.Err() == nil {
		wait := longestSleep
		if slot, t, ok := b.nextTerm(); ok {
			if wait = min(time.Until(t.due), longestSleep); wait <= 0 {
				b.tryRenewal(ctx, slot, t)
				continue
			}
		}
		select {
		case <-ctx.Done():
		case <-b.renewal:
		case <-time.After(wait):
		}
	}
}

// nextTerm returns the slot of the token that is due first.
func (b *bottle) nextTerm() (first string, found term, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for slot, t := range b.terms {
		if !ok || t.due.Before(found.due) {
			first, found, ok = slot, t, true
		}
	}
	return first, found, ok
}

// tryRenewal renews one token, or says when to try again.
func (b *bottle) tryRenewal(ctx context.Context, slot string, old term) {
	bounded, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	err := b.renewToken(bounded, slot, old)
	if ctx.Err() != nil {
		return // the bottle ended meanwhile
	}
	reason, verdict := "token-renewed", audit.Allow
	if err != nil {
		b.mu.Lock()
		if b.terms[slot] == old { // and not of another table by now
			b.terms[slot] = old.again()
		}
		b.mu.Unlock()
		b.m.o.Log.Error("cannot renew a token of the operator: requests that need it are refused once it ends",
			"bottle", b.record.ID, "token_ref", b.slotRefs()[slot], "expires", old.expires, "error", err)
		reason, verdict = "token-not-renewed", audit.Deny
	}
	i := b.Info()
	b.m.o.Audit.Record(audit.Event{
		Time: now(), Kind: audit.Control, Bottle: i.ID, Owner: strconv.FormatUint(uint64(i.Owner), 10),
		Generation: i.Generation, Verdict: verdict, Reason: reason,
	})
}

func (b *bottle) renewToken(ctx context.Context, slot string, old term) error {
	before := b.Info().Generation
	s, t, err := b.stillAdmitted()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(t.slots, func(s routes.Slot) bool { return s.Name == slot })
	if i < 0 {
		return errors.New("the table in force has no such slot any more")
	}
	l, err := b.m.fetch(ctx, s, t, t.slots[i], old.spare)
	if err != nil {
		return err
	}
	if !l.expires.IsZero() && !l.expires.After(old.expires) {
		return errors.New("its source gave one that ends no later")
	}

	b.update.Lock()
	defer b.update.Unlock()
	b.mu.Lock()
	current, generation := b.terms[slot], b.record.Generation
	b.mu.Unlock()
	if current != old || generation != before {
		return nil // another table came meanwhile, with its own tokens
	}
	fresh := worker.Renewal{Generation: generation}
	fresh.Tokens, fresh.Expires = reveal(map[string]lent{slot: l})
	if err := b.worker.Renew(ctx, fresh); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if l.expires.IsZero() {
		delete(b.terms, slot)
	} else {
		b.terms[slot] = newTerm(l.expires)
	}
	return nil
}

// stillAdmitted holds the table in force to the floor in force, for whose it is.
func (b *bottle) stillAdmitted() (policy.Subject, table, error) {
	s, err := b.subject()
	if err != nil {
		return s, table{}, err
	}
	t, err := readTable("the manifest in force", b.manifest(), b.grants()...)
	if err != nil {
		return s, table{}, err
	}
	if t, err = b.admit(s, t); err != nil {
		return s, table{}, fmt.Errorf("the policy no longer admits the table: %w", err)
	}
	return s, t, nil
}
