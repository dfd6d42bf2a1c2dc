package bottle

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// Bounds on asking enforcers how they are: those of a thousand bottles answer within
// a second, and one that does not is left out.
const (
	statsAtOnce  = 16
	statsTimeout = time.Second
)

// Stats are what the enforcer of a bottle counts, since it began.
type Stats struct {
	Info
	Open          int64  // connections at this moment
	Accepted      int64  // connections
	EventsDropped uint64 // audit events that nobody read in time
}

// Stats asks the enforcers of the caller's running bottles, or of everybody's for
// root. A bottle whose enforcer does not answer in time has zero counts.
func (m *Manager) Stats(ctx context.Context, c Caller) []Stats {
	m.mu.Lock()
	var list []*bottle
	for _, b := range m.sorted(false) {
		if b.mayTouch(c) {
			list = append(list, b)
		}
	}
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, statsTimeout)
	defer cancel()
	all := make([]Stats, len(list))
	var group errgroup.Group
	group.SetLimit(statsAtOnce)
	for i, b := range list {
		group.Go(func() error {
			s := Stats{Info: b.Info()}
			if b.running() == nil {
				if w, err := b.worker.Stats(ctx); err == nil {
					s.Open, s.Accepted, s.EventsDropped = w.Connections, w.Accepted, w.Dropped
				}
			}
			all[i] = s // each its own place
			return nil
		})
	}
	_ = group.Wait() // none fails
	return all
}
