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
// are given the ones that expire, of those that are kept the ones that did.
func (b *bottle) setTerms(t table, given map[string]lent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	terms := make(map[string]term)
	for _, ref := range t.refs() {
		if l, ok := given[ref]; !ok {
			if kept, ok := b.terms[ref]; ok {
				terms[ref] = kept
			}
		} else if !l.expires.IsZero() {
			terms[ref] = newTerm(l.expires)
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
	for _, ref := range b.record.Slots {
		if r, err := routes.ParseTokenRef(ref); err == nil && r.Kind == routes.TokenCommand {
			b.terms[ref] = term{due: time.Now()}
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
		if ref, t, ok := b.nextTerm(); ok {
			if wait = min(time.Until(t.due), longestSleep); wait <= 0 {
				b.tryRenewal(ctx, ref, t)
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

// nextTerm returns the token that is due first.
func (b *bottle) nextTerm() (first string, found term, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ref, t := range b.terms {
		if !ok || t.due.Before(found.due) {
			first, found, ok = ref, t, true
		}
	}
	return first, found, ok
}

// tryRenewal renews one token, or says when to try again.
func (b *bottle) tryRenewal(ctx context.Context, ref string, old term) {
	bounded, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	err := b.renewToken(bounded, ref, old)
	if ctx.Err() != nil {
		return // the bottle ended meanwhile
	}
	reason, verdict := "token-renewed", audit.Allow
	if err != nil {
		b.mu.Lock()
		if b.terms[ref] == old { // and not of another table by now
			b.terms[ref] = old.again()
		}
		b.mu.Unlock()
		b.m.o.Log.Error("cannot renew a token of the operator: requests that need it are refused once it ends",
			"bottle", b.record.ID, "token_ref", ref, "expires", old.expires, "error", err)
		reason, verdict = "token-not-renewed", audit.Deny
	}
	i := b.Info()
	b.m.o.Audit.Record(audit.Event{
		Time: now(), Kind: audit.Control, Bottle: i.ID, Owner: strconv.FormatUint(uint64(i.Owner), 10),
		Generation: i.Generation, Verdict: verdict, Reason: reason,
	})
}

func (b *bottle) renewToken(ctx context.Context, ref string, old term) error {
	s, err := b.stillAdmitted()
	if err != nil {
		return err
	}
	token, expires, err := b.m.policy().Token(ctx, s, ref, old.spare)
	if err != nil {
		return err
	}
	if !expires.IsZero() && !expires.After(old.expires) {
		return errors.New("its source gave one that ends no later")
	}

	b.update.Lock()
	defer b.update.Unlock()
	b.mu.Lock()
	current, generation, slot := b.terms[ref], b.record.Generation, slices.Index(b.record.Slots, ref)
	b.mu.Unlock()
	if current != old || slot < 0 {
		return nil // another table came meanwhile, with its own tokens
	}
	fresh := worker.Renewal{Generation: generation, Tokens: map[string]string{slotName(slot): token.Reveal()}}
	if !expires.IsZero() {
		fresh.Expires = worker.Expiries{slotName(slot): expires}
	}
	if err := b.worker.Renew(ctx, fresh); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if expires.IsZero() {
		delete(b.terms, ref)
	} else {
		b.terms[ref] = newTerm(expires)
	}
	return nil
}

// stillAdmitted holds the table in force to the floor in force, for whose it is.
func (b *bottle) stillAdmitted() (policy.Subject, error) {
	s, err := b.subject()
	if err != nil {
		return s, err
	}
	t, err := readTable("the manifest in force", b.manifest(), b.grants()...)
	if err != nil {
		return s, err
	}
	if err := b.m.admit(s, t); err != nil {
		return s, fmt.Errorf("the policy no longer admits the table: %w", err)
	}
	return s, nil
}
