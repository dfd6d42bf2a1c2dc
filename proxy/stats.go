package proxy

import "sync/atomic"

// Stats are counts since the Server was made, and Open and Live at this moment.
type Stats struct {
	Open     int64 // connections from the bottle
	Live     int64 // requests, WebSockets and opaque streams under way
	Accepted int64
	Overflow int64 // closed because Limits.Connections was reached
	Requests int64
	Denied   int64 // requests and connections
	Injected int64
	Scrubbed int64 // injected values taken out of responses
	Panics   int64 // recovered; each closed one connection
}

type counters struct {
	open, accepted, overflow, requests, denied, injected, scrubbed, panics atomic.Int64
}

// Stats returns the counts. It is safe for concurrent use.
func (s *Server) Stats() Stats {
	s.live.mu.Lock()
	under := len(s.live.open)
	s.live.mu.Unlock()
	c := &s.count
	return Stats{
		Open: c.open.Load(), Live: int64(under), Accepted: c.accepted.Load(), Overflow: c.overflow.Load(),
		Requests: c.requests.Load(), Denied: c.denied.Load(), Injected: c.injected.Load(),
		Scrubbed: c.scrubbed.Load(), Panics: c.panics.Load(),
	}
}
