package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"bottled/api/client"
	"bottled/audit"
)

// learnFlag is --learn, or --learn=FILE.
type learnFlag struct {
	on   bool
	file string
}

func (l *learnFlag) String() string   { return l.file }
func (l *learnFlag) IsBoolFlag() bool { return true }
func (l *learnFlag) Set(v string) error {
	switch v {
	case "true":
		l.on, l.file = true, ""
	case "false":
		l.on = false
	default:
		l.on, l.file = true, v
	}
	return nil
}

// lesson records what a bottle was refused, while it runs.
type lesson struct {
	file *os.File
	stop context.CancelFunc
	done chan struct{}
	n    int
	err  error
}

// newLesson makes the record. The file must not be there: the bottle may write to the
// working directory, and must not choose what is written to.
func newLesson(l learnFlag) (*lesson, error) {
	var file *os.File
	var err error
	if l.file == "" {
		file, err = os.CreateTemp("", "bottled-learned-*.jsonl")
	} else {
		file, err = os.OpenFile(l.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("--learn: %w", err)
	}
	return &lesson{file: file, done: make(chan struct{})}, nil
}

// reasonEnded is the reason of the last event of a bottle.
const reasonEnded = "bottle-ended"

// errEnded ends a stream at the bottle's last event.
var errEnded = errors.New("the bottle has ended")

// lastEvents is how long the last events of a bottle that has ended may take.
const lastEvents = 2 * time.Second

// follow records what the bottle is refused until its account is closed. A daemon
// that was restarted in between has forgotten what it told: nothing comes twice.
func (l *lesson) follow(c *client.Client, bottle string) {
	var ctx context.Context
	ctx, l.stop = context.WithCancel(context.Background())
	go func() {
		defer close(l.done)
		for ctx.Err() == nil {
			l.err = c.Events(ctx, client.EventsQuery{Bottle: bottle, Follow: true}, l.record)
			if !errors.Is(l.err, client.ErrLost) && !errors.Is(l.err, client.ErrNoDaemon) {
				return
			}
			time.Sleep(askAgain)
		}
	}()
}

func (l *lesson) record(e audit.Event) error {
	switch {
	case e.Kind == audit.Control && e.Reason == reasonEnded:
		return errEnded
	case e.Verdict == audit.Allow || l.n >= maxLearned:
		return nil
	}
	text, err := json.Marshal(e)
	if err == nil {
		_, err = fmt.Fprintf(l.file, "%s\n", ascii(text))
		l.n++
	}
	return err
}

// finish waits for the last events and tells where the record is; one of nothing is removed.
func (a *App) finish(l *lesson) {
	select {
	case <-l.done:
	case <-time.After(lastEvents):
		l.stop()
		<-l.done
	}
	l.stop()
	err := l.file.Close()
	if l.err != nil && !errors.Is(l.err, errEnded) {
		err = errors.Join(l.err, err)
	}
	if err != nil {
		a.complain(fmt.Errorf("--learn: the record is not whole: %w", err))
	}
	if l.n == 0 {
		_ = os.Remove(l.file.Name()) // nothing in it
		fmt.Fprintln(a.Stderr, "bottled: nothing was refused")
		return
	}
	fmt.Fprintf(a.Stderr, "bottled: %s recorded; see `bottled suggest --from %s`\n", count(l.n, "refusal"), l.file.Name())
}

// discard is for a bottle that never was.
func (l *lesson) discard() {
	l.file.Close()
	_ = os.Remove(l.file.Name())
}
