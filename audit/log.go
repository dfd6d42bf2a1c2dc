package audit

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// defaultQueue is how many events a [Log] holds between its callers and its
// writer when logOptions does not say.
const defaultQueue = 4096

// batch bounds the bytes that go out in one write.
const batch = 64 << 10

// logOptions says how a [Log] is made. The zero value is a good one.
type logOptions struct {
	Queue int              // events held; 0 is defaultQueue
	Head  Head             // what the chain goes on from
	Now   func() time.Time // for the log's own events; nil is time.Now
}

// Log is a [Sink] that writes chained lines to w from a goroutine of its own. It
// is full when w does not keep up: events are then dropped and counted, and as
// soon as there is room a [Dropped] event says how many. So are events lost to a
// failing w, such as a full disk.
//
// It is full for an owner who has as many events in it as there are places left, so
// that a bottle that makes many costs other users none of theirs.
//
// Record and Dropped are safe for concurrent use.
type Log struct {
	w       io.WriteCloser
	now     func() time.Time
	queue   chan Event
	dropped atomic.Uint64 // not yet on record
	total   atomic.Uint64
	done    chan struct{}

	mu     sync.Mutex
	closed bool
	waits  map[string]int // events in the queue, by owner

	// Of the writing goroutine:
	head Head
	err  error
}

// newLog starts a log that writes to w, whole lines at a time, and closes w when
// it is closed itself. A Write of w that fails has written nothing, or the chain
// breaks there.
func newLog(w io.WriteCloser, o logOptions) *Log {
	if o.Queue <= 0 {
		o.Queue = defaultQueue
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &Log{w: w, now: o.Now, queue: make(chan Event, o.Queue), done: make(chan struct{}), head: o.Head, waits: make(map[string]int)}
	go l.run()
	return l
}

// Record implements [Sink].
func (l *Log) Record(e Event) {
	if e.Time.IsZero() {
		e.Time = l.now()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || !l.roomFor(e.Owner) {
		l.lost(1)
		return
	}
	l.waits[e.Owner]++
	l.queue <- e // there is room, and nobody else sends
}

// roomFor says whether an event of the owner may wait; "" is the daemon, whose events
// are few. The caller holds l.mu.
func (l *Log) roomFor(owner string) bool {
	left := cap(l.queue) - len(l.queue)
	return left > 0 && (owner == "" || l.waits[owner] < left)
}

// taken gives the place of an event back.
func (l *Log) taken(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waits[e.Owner]--; l.waits[e.Owner] == 0 {
		delete(l.waits, e.Owner)
	}
}

// Dropped returns how many events were lost since the log was started.
func (l *Log) Dropped() uint64 { return l.total.Load() }

func (l *Log) lost(n uint64) {
	l.dropped.Add(n)
	l.total.Add(n)
}

// Close writes what is queued and returns the head of the chain. If ctx ends
// first, it returns while the writer is still at it. Events recorded after Close
// are dropped.
func (l *Log) Close(ctx context.Context) (Head, error) {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.queue)
	}
	l.mu.Unlock()
	select {
	case <-l.done:
		return l.head, l.err
	case <-ctx.Done():
		return Head{}, errors.Join(errors.New("audit: events are still being written"), ctx.Err())
	}
}

func (l *Log) run() {
	defer close(l.done)
	buf := make([]byte, 0, batch+maxLine)
	for e := range l.queue {
		buf = l.write(buf[:0], e)
	}
	if l.dropped.Load() > 0 {
		l.flush(nil, 0, l.head)
	}
	l.err = errors.Join(l.err, l.w.Close())
}

// write writes e and as much of the queue as fits into one batch.
func (l *Log) write(buf []byte, e Event) []byte {
	head, n := l.head, uint64(0)
	for {
		l.taken(e)
		var err error
		if buf, head, err = head.append(buf, e); err != nil {
			l.lost(1) // an event that JSON cannot say; there is no such event
		} else {
			n++
		}
		if len(buf) >= batch {
			break
		}
		var more bool
		select {
		case e, more = <-l.queue:
		default:
		}
		if !more {
			break
		}
	}
	l.flush(buf, n, head)
	return buf
}

// flush writes buf, which holds n events and ends at head, and after it how many
// events were dropped. Nothing moves the chain on but a write that succeeded.
func (l *Log) flush(buf []byte, n uint64, head Head) {
	dropped := l.dropped.Swap(0)
	if dropped > 0 {
		buf, head, _ = head.append(buf, Event{Time: l.now(), Kind: Dropped, Count: dropped, Reason: "queue-full"})
	}
	if _, err := l.w.Write(buf); err != nil {
		l.dropped.Add(dropped) // were counted in total when they were lost
		l.lost(n)
		l.err = err
		return
	}
	l.head, l.err = head, nil
}
