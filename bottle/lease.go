package bottle

import (
	"context"
	"sync"
	"time"
)

// leaseTime is how long an attached bottle outlives the last of those who wait for
// it: long enough for a client to come back after the daemon was restarted.
const leaseTime = 10 * time.Second

// lease ends an attached bottle when nobody waits for it any more.
type lease struct {
	end func()

	mu      sync.Mutex
	holders int
	timer   *time.Timer
}

// newLease starts the time for the first holder.
func newLease(end func()) *lease {
	return &lease{end: end, timer: time.AfterFunc(leaseTime, end)}
}

// hold keeps the bottle until the returned function is called. gone says that the
// holder's client is: then nobody is expected back.
func (l *lease) hold() (release func(gone bool)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holders++
	l.timer.Stop()
	return func(gone bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.holders--
		if l.holders > 0 {
			return
		}
		if gone {
			go l.end()
			return
		}
		l.timer.Reset(leaseTime)
	}
}

// attach begins the lease of a bottle that was created so.
func (b *bottle) attach() {
	if !b.record.Attached {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lease = newLease(func() { _ = b.stop(context.Background(), 0, "its client went away") })
}

// leased is the lease of the bottle, nil where it has none.
func (b *bottle) leased() *lease {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lease
}

// Wait waits for the end of a bottle's command. With attached, the caller's going
// away (ctx) ends the bottle where it was created so.
func (m *Manager) Wait(ctx context.Context, c Caller, ref string, attached bool) (Exit, error) {
	b, err := m.find(c, ref)
	if err != nil {
		return Exit{}, err
	}
	if lease := b.leased(); attached && lease != nil {
		drop := lease.hold()
		defer func() { drop(ctx.Err() != nil) }()
	}
	select {
	case <-b.ended:
	case <-b.over:
	case <-ctx.Done():
		return Exit{}, ctx.Err()
	}
	return b.result()
}

// result is how the command ended, of a bottle that has.
func (b *bottle) result() (Exit, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.exit == nil {
		return Exit{}, ErrUnavailable // the daemon ends and the bottle goes on
	}
	return *b.exit, nil
}
