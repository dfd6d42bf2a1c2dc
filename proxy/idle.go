package proxy

import (
	"errors"
	"sync/atomic"
	"time"
)

var errIdle = errors.New("no byte moved for too long")

// idle runs a function when nothing happened for some time, unless it was stopped. A nil
// idle never does. It is safe for concurrent use.
type idle struct {
	timer *time.Timer
	after time.Duration
	over  atomic.Bool
}

func newIdle(after time.Duration, expired func()) *idle {
	return &idle{timer: time.AfterFunc(after, expired), after: after}
}

// touch may come after stop, from a body that is still being read when its request has
// ended: a timer that went on would hold all of that.
func (i *idle) touch() {
	if i == nil || i.over.Load() {
		return
	}
	i.timer.Reset(i.after)
	if i.over.Load() { // stop came in between
		i.timer.Stop()
	}
}

func (i *idle) stop() {
	i.over.Store(true)
	i.timer.Stop()
}
