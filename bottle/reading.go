package bottle

import (
	"context"
	"fmt"
	"sync"
)

// reading has one manifest of a user read at a time: one of a megabyte takes seconds of a
// processor and hundreds of megabytes, and a user may send many at once. The zero value is
// ready.
type reading struct {
	mu  sync.Mutex
	all map[uint32]*turn // of those who read or wait
}

type turn struct {
	busy  chan struct{} // holds one
	users int
}

// begin waits for the turn of uid, which lasts until the returned function is called.
func (r *reading) begin(ctx context.Context, uid uint32) (end func(), err error) {
	r.mu.Lock()
	t := r.all[uid]
	if t == nil {
		if r.all == nil {
			r.all = make(map[uint32]*turn)
		}
		t = &turn{busy: make(chan struct{}, 1)}
		r.all[uid] = t
	}
	t.users++
	r.mu.Unlock()
	select {
	case t.busy <- struct{}{}:
		return func() { <-t.busy; r.leave(uid, t) }, nil
	case <-ctx.Done():
		r.leave(uid, t)
		return nil, fmt.Errorf("%w: the caller went away", ErrUnavailable)
	}
}

func (r *reading) leave(uid uint32, t *turn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(r.all, uid)
	}
}
