package proxy

import (
	"slices"
	"sync"

	"bottled/routes"
)

// live is what is under way and must end when its route does. It is safe for
// concurrent use.
type live struct {
	most int // so many at a time
	mu   sync.Mutex
	open map[*lifeline]struct{}
}

// lifeline is one request, WebSocket or opaque stream.
type lifeline struct {
	still func(*routes.Table) bool
	cut   func()
}

// still returns what tells whether a connection to host, open under the route then, may go
// on under another table: it may where it would be opened again as it was. One that is not
// searched ends when its host is given a token, which could come in by it.
func (s *Server) still(host routes.Host, then *routes.Route, decide func(*routes.Table) routes.Decision) func(*routes.Table) bool {
	searched := s.guard.covers(host)
	return func(t *routes.Table) bool {
		d := decide(t)
		return d.Allowed() && keeps(then, d.Route) && (searched || !s.guard.covers(host))
	}
}

// keeps reports whether now has what then gave, and does not keep back what then let in.
func keeps(then, now *routes.Route) bool {
	for _, p := range then.AllowPrivate {
		if !slices.Contains(now.AllowPrivate, p) {
			return false
		}
	}
	return now.Protocol == then.Protocol && (then.Auth == nil || now.Auth != nil) && (then.Sealed || !now.Sealed)
}

// add returns nil when there are too many.
func (l *live) add(still func(*routes.Table) bool, cut func()) *lifeline {
	line := &lifeline{still, cut}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) >= l.most {
		return nil
	}
	if l.open == nil {
		l.open = map[*lifeline]struct{}{}
	}
	l.open[line] = struct{}{}
	return line
}

func (l *live) remove(line *lifeline) {
	l.mu.Lock()
	delete(l.open, line)
	l.mu.Unlock()
}

// sweep cuts whatever t no longer allows, and returns how many that were.
func (l *live) sweep(t *routes.Table) int {
	l.mu.Lock()
	lines := make([]*lifeline, 0, len(l.open))
	for line := range l.open {
		lines = append(lines, line)
	}
	l.mu.Unlock()
	n := 0
	for _, line := range lines {
		if !line.still(t) {
			line.cut()
			n++
		}
	}
	return n
}
