package proxy

import (
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
