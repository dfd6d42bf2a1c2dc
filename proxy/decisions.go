package proxy

import (
	"sync"

	"bottled/routes"
)

// keptDecisions is how many refusals /decisions/ID can show.
const keptDecisions = 512

// decisions are the latest refusals by request id. It is safe for concurrent use.
type decisions struct {
	mu   sync.Mutex
	byID map[string]refused
	ring [keptDecisions]string
	next int
}

// refused is one of them.
type refused struct {
	text  []byte   // for the agent
	match *Stopped // nil: it was not the scanner that refused
}

// Stopped is what the scanner refused a request for.
type Stopped struct {
	Rule        string
	Fingerprint string // "" where nothing was found, but could not be judged
	Route       *routes.Route
}

func (d *decisions) add(id string, r refused) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byID == nil {
		d.byID = make(map[string]refused, keptDecisions)
	}
	delete(d.byID, d.ring[d.next])
	d.ring[d.next], d.byID[id] = id, r
	d.next = (d.next + 1) % keptDecisions
}

func (d *decisions) get(id string) (refused, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, ok := d.byID[id]
	return r, ok
}

// Stopped returns what the scanner refused a request for, while that is remembered.
func (s *Server) Stopped(requestID string) (Stopped, bool) {
	if r, ok := s.recent.get(requestID); ok && r.match != nil {
		return *r.match, true
	}
	return Stopped{}, false
}
