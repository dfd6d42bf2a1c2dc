package worker

import (
	"sync"

	"bottled/audit"
)

// queueLength is how many audit events a worker holds while no daemon reads them:
// some seconds of a busy bottle, at about 1 KiB each.
const queueLength = 4096

// events is a bounded queue of audit events with one reader. It never makes the
// recorder wait: what finds it full is dropped and counted.
type events struct {
	queue chan audit.Event

	mu      sync.Mutex
	dropped uint64
}

func newEvents() *events { return &events{queue: make(chan audit.Event, queueLength)} }

// Record implements [audit.Sink].
func (e *events) Record(event audit.Event) {
	select {
	case e.queue <- event:
	default:
		e.mu.Lock()
		e.dropped++
		e.mu.Unlock()
	}
}

// Dropped is how many events were lost since the worker began.
func (e *events) Dropped() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.dropped
}
