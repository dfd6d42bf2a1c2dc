package proposal_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bottled/proposal"
)

func ask(t *testing.T, q *proposal.Queue, host string) proposal.Ticket {
	t.Helper()
	p, err := proposal.ForRoute(host, nil, nil, why)
	if err != nil {
		t.Fatal(err)
	}
	ticket, err := q.Propose(p)
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

func decide(ticket proposal.Ticket, s proposal.State, answer string) proposal.Decision {
	return proposal.Decision{ID: ticket.ID, Digest: ticket.Digest, State: s, By: "alice", Answer: answer}
}

func TestDecisionReachesWhoWaits(t *testing.T) {
	for _, state := range []proposal.State{proposal.Approved, proposal.Denied} {
		synctest.Test(t, func(t *testing.T) {
			q := proposal.NewQueue(proposal.Options{})
			ticket := ask(t, q, "a.example.com")
			go func() {
				time.Sleep(time.Minute)
				if _, err := q.Decide(decide(ticket, state, "because\n\x1b[31m")); err != nil {
					t.Error(err)
				}
			}()
			got, err := q.Wait(t.Context(), ticket.ID)
			if err != nil || got.State != state || got.By != "alice" || got.Answer != "because �[31m" {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := proposal.NewQueue(proposal.Options{})
		ticket := ask(t, q, "a.example.com")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got, err := q.Wait(ctx, ticket.ID)
		if err != nil || got.State != proposal.Waiting {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := q.Wait(ctx, "of nobody"); !errors.Is(err, proposal.ErrUnknown) {
			t.Error(err)
		}
		q.Decide(decide(ticket, proposal.Denied, ""))
	})
}

func TestTimeDenies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var steps []proposal.State
		q := proposal.NewQueue(proposal.Options{Patience: time.Minute, Memory: time.Hour, Changed: func(t proposal.Ticket) { steps = append(steps, t.State) }})
		ticket := ask(t, q, "a.example.com")
		got, err := q.Wait(t.Context(), ticket.ID) // nobody else touches the queue: its own timer ends it
		if err != nil || got.State != proposal.Expired || !got.Decided.Equal(ticket.Expires) {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := q.Decide(decide(ticket, proposal.Approved, "")); !errors.Is(err, proposal.ErrDecided) {
			t.Errorf("approved after its time: %v", err)
		}
		if again := ask(t, q, "a.example.com"); again.State != proposal.Expired {
			t.Errorf("asked again: %v", again.State)
		}
		if fmt.Sprint(steps) != "[waiting expired]" {
			t.Error(steps)
		}
	})
}

func TestClockIsTheOneGiven(t *testing.T) {
	now := time.Unix(0, 0)
	q := proposal.NewQueue(proposal.Options{Now: func() time.Time { return now }, Patience: time.Hour})
	ticket := ask(t, q, "a.example.com")
	now = now.Add(time.Hour)
	if _, err := q.Decide(decide(ticket, proposal.Approved, "")); !errors.Is(err, proposal.ErrDecided) {
		t.Error(err)
	}
}

func TestSameContentIsOneTicket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := proposal.NewQueue(proposal.Options{Memory: time.Minute})
		first, again := ask(t, q, "a.example.com"), ask(t, q, "A.Example.COM.")
		if !reflect.DeepEqual(first, again) {
			t.Errorf("%+v\n%+v", first, again)
		}
		if _, err := q.Decide(decide(first, proposal.Denied, "no")); err != nil {
			t.Fatal(err)
		}
		if denied := ask(t, q, "a.example.com"); denied.State != proposal.Denied || denied.Answer != "no" || denied.Number != first.Number {
			t.Errorf("asked again after the denial: %+v", denied)
		}
		time.Sleep(time.Minute)
		if anew := ask(t, q, "a.example.com"); anew.State != proposal.Waiting || anew.Number == first.Number {
			t.Errorf("asked again after the denial was forgotten: %+v", anew)
		}
		q.Decide(decide(first, proposal.Denied, ""))
	})
}

func TestDecisionIsBoundToWhatWasShown(t *testing.T) {
	q := proposal.NewQueue(proposal.Options{})
	shown, other := ask(t, q, "a.example.com"), ask(t, q, "evil.example.com")
	mixed := decide(other, proposal.Approved, "")
	mixed.Digest = shown.Digest
	if _, err := q.Decide(mixed); !errors.Is(err, proposal.ErrChanged) {
		t.Errorf("approved one thing and granted another: %v", err)
	}
	for _, s := range []proposal.State{0, proposal.Waiting, proposal.Expired, 9} {
		if _, err := q.Decide(decide(shown, s, "")); err == nil {
			t.Errorf("a decision of state %v was taken", s)
		}
	}
	if _, err := q.Decide(proposal.Decision{ID: "none", Digest: shown.Digest, State: proposal.Approved}); !errors.Is(err, proposal.ErrUnknown) {
		t.Error(err)
	}
	for _, ticket := range q.Since(t.Context(), 0).Tickets {
		if ticket.State != proposal.Waiting {
			t.Errorf("%+v", ticket)
		}
	}
	if got, err := q.Decide(decide(shown, proposal.Approved, "")); err != nil || got.State != proposal.Approved {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := q.Decide(decide(shown, proposal.Denied, "")); !errors.Is(err, proposal.ErrDecided) {
		t.Errorf("decided twice: %v", err)
	}
}

func TestBounded(t *testing.T) {
	q := proposal.NewQueue(proposal.Options{Waiting: 4, Kept: 3})
	var tickets []proposal.Ticket
	for i := range 4 {
		tickets = append(tickets, ask(t, q, fmt.Sprintf("h%d.example.com", i)))
	}
	p, err := proposal.ForRoute("one-too-many.example.com", nil, nil, why)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Propose(p); !errors.Is(err, proposal.ErrFull) {
		t.Errorf("the queue took a fifth: %v", err)
	}
	if again := ask(t, q, "h0.example.com"); !reflect.DeepEqual(again, tickets[0]) {
		t.Error("a full queue does not answer who asks again")
	}
	if _, err := q.Propose(proposal.Proposal{}); err == nil {
		t.Error("the zero proposal was taken")
	}
	for i := range 20 {
		for _, ticket := range tickets {
			if _, err := q.Decide(decide(ticket, proposal.Denied, "")); err != nil {
				t.Fatal(err)
			}
		}
		tickets = tickets[:0]
		for j := range 4 {
			tickets = append(tickets, ask(t, q, fmt.Sprintf("h%d-%d.example.com", i, j)))
		}
	}
	if n := len(q.Since(t.Context(), 0).Tickets); n > 4+3 {
		t.Errorf("%d tickets are kept", n)
	}
}

func TestSinceWaitsForAStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := proposal.NewQueue(proposal.Options{})
		empty := q.Since(t.Context(), 0)
		if empty.Revision == 0 || len(empty.Tickets) != 0 {
			t.Errorf("an empty queue is %+v: who asks for what comes after it would not wait", empty)
		}
		ticket := ask(t, q, "a.example.com")
		before := q.Since(t.Context(), empty.Revision)
		go func() {
			time.Sleep(time.Second)
			q.Decide(decide(ticket, proposal.Approved, ""))
		}()
		after := q.Since(t.Context(), before.Revision)
		if after.Revision == before.Revision || after.Tickets[0].State != proposal.Approved {
			t.Errorf("%+v", after)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if same := q.Since(ctx, after.Revision); same.Revision != after.Revision {
			t.Errorf("%+v", same)
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	q := proposal.NewQueue(proposal.Options{Waiting: 8, Kept: 8})
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for range 50 {
				ticket := ask(t, q, fmt.Sprintf("h%d.example.com", i))
				ctx, cancel := context.WithCancel(t.Context())
				go func() { q.Decide(decide(ticket, proposal.Denied, "")); cancel() }()
				q.Wait(ctx, ticket.ID)
				q.Since(t.Context(), 0)
			}
		})
	}
	group.Wait()
}
