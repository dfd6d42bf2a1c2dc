package worker

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"bottled/audit"
)

const (
	// queueBytes is how much a worker holds while no daemon reads its audit events: some
	// seconds of a busy bottle, at about 600 bytes each.
	queueBytes = 4 << 20
	// batchBytes are sent at once, fewer after batchTime: a busy bottle would wake the
	// daemon for each event.
	batchBytes = 32 << 10
	batchTime  = 20 * time.Millisecond
)

// events is a bounded queue of audit events with one reader, each a JSON text a line: in
// this form an event holds nothing of the request that it is about. It never makes the
// recorder wait: what finds it full is dropped and counted.
type events struct {
	mu    sync.Mutex
	lines []byte
	held  int64  // events in lines
	spare []byte // a buffer for lines, while the other is sent

	some chan struct{} // there are lines
	many chan struct{} // there are batchBytes

	unread  atomic.Int64 // recorded and not yet on their way to the daemon
	dropped atomic.Uint64
}

func newEvents() *events {
	return &events{some: make(chan struct{}, 1), many: make(chan struct{}, 1)}
}

// Record implements [audit.Sink].
func (e *events) Record(event audit.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := len(e.lines)
	lines, err := event.AppendJSON(e.lines)
	if err != nil || len(lines) >= queueBytes {
		e.dropped.Add(1)
		return
	}
	e.lines = append(lines, '\n')
	e.held++
	e.unread.Add(1)
	if before == 0 {
		tell(e.some)
	}
	if before < batchBytes && len(e.lines) >= batchBytes {
		tell(e.many)
	}
}

func tell(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it was not yet heard
	}
}

// send writes the events to w as they come, until that fails or the reader is gone.
func (e *events) send(w io.Writer, gone <-chan struct{}) {
	tell(e.some)       // what the reader before left
	defer tell(e.some) // what this one may have heard of and leaves
	for {
		select {
		case <-gone:
			return
		case <-e.some:
		}
		select {
		case <-gone:
			return
		case <-e.many:
		case <-time.After(batchTime):
		}
		lines, n := e.take()
		_, err := w.Write(lines)
		e.unread.Add(-n)
		if err != nil {
			e.dropped.Add(uint64(n))
			return
		}
		e.keep(lines)
	}
}

func (e *events) take() (lines []byte, n int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	lines, n = e.lines, e.held
	e.lines, e.held, e.spare = e.spare, 0, nil
	return lines, n
}

// keep keeps the buffer of lines that were sent, unless it is large.
func (e *events) keep(lines []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if cap(lines) <= 2*batchBytes {
		e.spare = lines[:0]
	}
}

// Dropped is how many events were lost since the worker began.
func (e *events) Dropped() uint64 { return e.dropped.Load() }
