package proposal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// What a Queue may answer.
var (
	ErrFull    = errors.New("too many proposals wait for a decision already: wait for those, or drop what you do not need")
	ErrUnknown = errors.New("no such proposal: it was never made, or decided too long ago")
	ErrChanged = errors.New("the decision is about something else than what waits: look at the proposal again")
	ErrDecided = errors.New("the proposal is decided already")
)

// Options says how a Queue works. Zero fields take the defaults.
type Options struct {
	Now      func() time.Time // nil: time.Now
	Waiting  int              // proposals that may wait at a time; 0: 64
	Kept     int              // decided proposals that are remembered; 0: 256
	Patience time.Duration    // how long a proposal waits before it expires; 0: 1 h
	Memory   time.Duration    // how long a decision answers those who ask again; 0: 15 min

	// Changed is told every step of every ticket, in order, for the audit. It is
	// called with the queue locked: it must not wait, nor call the queue.
	Changed func(Ticket)
}

// A Queue holds the proposals of one bottle. Its methods may be called from
// several goroutines at once.
type Queue struct {
	o Options

	mu       sync.Mutex
	entries  []*entry // by number
	byID     map[string]*entry
	number   uint64
	revision uint64
	step     chan struct{} // closed and replaced at each step
}

type entry struct {
	ticket Ticket
	done   chan struct{} // closed once it is decided
	timer  *time.Timer
}

// NewQueue returns an empty queue.
func NewQueue(o Options) *Queue {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Changed == nil {
		o.Changed = func(Ticket) {}
	}
	o.Waiting, o.Kept = positive(o.Waiting, 64), positive(o.Kept, 256)
	o.Patience, o.Memory = positive(o.Patience, time.Hour), positive(o.Memory, 15*time.Minute)
	return &Queue{o: o, byID: make(map[string]*entry), revision: 1, step: make(chan struct{})}
}

func positive[T int | time.Duration](v, standard T) T {
	if v <= 0 {
		return standard
	}
	return v
}

// Propose puts p into the queue. If the same is in it already, waiting or decided
// not long ago, that ticket is returned and nothing changes. ErrFull refuses.
func (q *Queue) Propose(p Proposal) (Ticket, error) {
	if p.kind == 0 {
		return Ticket{}, errors.New("proposal: it asks for nothing")
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.sweep()
	id := p.ID()
	if e, ok := q.byID[id]; ok {
		return e.ticket, nil
	}
	if q.count(Waiting) >= q.o.Waiting {
		return Ticket{}, fmt.Errorf("%w (the limit is %d)", ErrFull, q.o.Waiting)
	}
	q.number++
	e := &entry{done: make(chan struct{}), ticket: Ticket{
		ID: id, Digest: p.Digest(), Number: q.number, Proposal: p, State: Waiting,
		Asked: now, Expires: now.Add(q.o.Patience),
	}}
	e.timer = time.AfterFunc(q.o.Patience, q.expire)
	q.entries, q.byID[id] = append(q.entries, e), e
	q.stepped(e)
	return e.ticket, nil
}

// Decide ends the waiting of the proposal that d names, provided that d is about
// exactly what waits. It returns ErrUnknown, ErrChanged or ErrDecided otherwise,
// and nothing changes.
func (q *Queue) Decide(d Decision) (Ticket, error) {
	if d.State != Approved && d.State != Denied {
		return Ticket{}, fmt.Errorf("proposal: a decision approves or denies, and this one says %q", d.State)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sweep()
	e, ok := q.byID[d.ID]
	switch {
	case !ok:
		return Ticket{}, ErrUnknown
	case e.ticket.Digest != d.Digest:
		return Ticket{}, ErrChanged
	case e.ticket.State != Waiting:
		return e.ticket, fmt.Errorf("%w: %s", ErrDecided, e.ticket.State)
	}
	e.ticket.By, e.ticket.Answer = oneLine(d.By, maxText), oneLine(d.Answer, maxText)
	q.settle(e, d.State)
	return e.ticket, nil
}

// Wait returns the ticket once it is decided, or as it is when ctx ends. The only
// error is ErrUnknown.
func (q *Queue) Wait(ctx context.Context, id string) (Ticket, error) {
	q.mu.Lock()
	q.sweep()
	e, ok := q.byID[id]
	q.mu.Unlock()
	if !ok {
		return Ticket{}, ErrUnknown
	}
	select {
	case <-e.done:
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return e.ticket, nil
}

// Since returns the queue once its revision is another than the given one, or as
// it is when ctx ends. Revision 0 returns at once.
func (q *Queue) Since(ctx context.Context, revision uint64) Snapshot {
	for {
		q.mu.Lock()
		q.sweep()
		step := q.step
		s := Snapshot{Revision: q.revision, Tickets: make([]Ticket, 0, len(q.entries))}
		for _, e := range q.entries {
			s.Tickets = append(s.Tickets, e.ticket)
		}
		q.mu.Unlock()
		if s.Revision != revision || revision == 0 {
			return s
		}
		select {
		case <-step:
		case <-ctx.Done():
			return s
		}
	}
}

func (q *Queue) expire() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sweep()
}

// sweep ends the waiting of what waited too long and forgets old decisions. It
// returns the time, without a monotonic reading so that a ticket survives JSON.
func (q *Queue) sweep() time.Time {
	now := q.o.Now().UTC().Round(0)
	for _, e := range q.entries {
		if e.ticket.State == Waiting && !now.Before(e.ticket.Expires) {
			q.settle(e, Expired)
		}
	}
	surplus := len(q.entries) - q.count(Waiting) - q.o.Kept
	q.entries = slices.DeleteFunc(q.entries, func(e *entry) bool {
		if e.ticket.State == Waiting || surplus <= 0 && now.Before(e.ticket.Decided.Add(q.o.Memory)) {
			return false
		}
		surplus--
		delete(q.byID, e.ticket.ID)
		return true
	})
	return now
}

// settle gives a waiting ticket its final state.
func (q *Queue) settle(e *entry, s State) {
	e.ticket.State, e.ticket.Decided = s, q.o.Now().UTC().Round(0)
	e.timer.Stop()
	close(e.done)
	q.stepped(e)
}

func (q *Queue) stepped(e *entry) {
	q.revision++
	close(q.step)
	q.step = make(chan struct{})
	q.o.Changed(e.ticket)
}

func (q *Queue) count(s State) int {
	n := 0
	for _, e := range q.entries {
		if e.ticket.State == s {
			n++
		}
	}
	return n
}
