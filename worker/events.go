package worker

import (
	"sync/atomic"

	"bottled/audit"
)

// queueLength is how many audit events a worker holds while no daemon reads them:
// some seconds of a busy bottle, at about 1 KiB each.
const queueLength = 4096

// events is a bounded queue of audit events with one reader. It never makes the
// recorder wait: what finds it full is dropped and counted.
type events struct {
	queue   chan audit.Event
	unread  atomic.Int64 // recorded and not yet on their way to the daemon
	dropped atomic.Uint64
}

func newEvents() *events { return &events{queue: make(chan audit.Event, queueLength)} }

// Record implements [audit.Sink].
func (e *events) Record(event audit.Event) {
	e.unread.Add(1)
	select {
	case e.queue <- event.Own():
	default:
		e.unread.Add(-1)
		e.dropped.Add(1)
	}
}

// Dropped is how many events were lost since the worker began.
func (e *events) Dropped() uint64 { return e.dropped.Load() }
