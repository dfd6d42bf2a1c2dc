package proxy

import (
	"errors"
	"time"
)

var errIdle = errors.New("no byte moved for too long")

// idle runs a function when nothing happened for some time. A nil idle never does.
type idle struct {
	timer *time.Timer
	after time.Duration
}

func newIdle(after time.Duration, expired func()) *idle {
	return &idle{time.AfterFunc(after, expired), after}
}

func (i *idle) touch() {
	if i != nil {
		i.timer.Reset(i.after)
	}
}

func (i *idle) stop() { i.timer.Stop() }
