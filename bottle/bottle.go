package bottle

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bottled/worker"
)

// bottle is a bottle that this daemon started or adopted. Its life has one
// overseer, [bottle.supervise], which alone ends it; everybody else asks.
type bottle struct {
	m      *Manager
	record record // fixed once running, but for what mu guards
	paths  paths

	worker *worker.Worker
	fence  *fence    // of the enforcer
	init   *overseen // first process of the bottle

	abandon   context.CancelCauseFunc // ends its start; later, and where it was adopted, nothing
	asked     chan stopRequest        // to the overseer; buffered, the first counts
	released  chan struct{}           // closed when nothing of it is left on the host
	witnessed chan struct{}           // closed when all that its walls had to report is on record
	over      chan struct{}           // closed when it ended with something left that cannot be released yet
	ended     chan struct{}           // closed when it is Exited or forgotten

	mu       sync.Mutex
	state    State
	lease    *lease // nil for a bottle that outlives its client
	exit     *Exit
	execs    map[string]*execution
	proposed chan struct{}     // news for preapprove; buffered
	shown    map[uint64]string // digest of each proposal that an operator was shown, by number

	update sync.Mutex // one change of routes or tokens at a time
	unsure uint64     // generation of the last table that may come into force yet; update guards it

	terms   map[string]term // of the operator's tokens that expire, by slot; mu guards it
	renewal chan struct{}   // says that terms changed; buffered
}

type stopRequest struct {
	grace  time.Duration
	reason string
}

func newBottle(m *Manager, r record) *bottle {
	return &bottle{
		m: m, record: r, paths: m.paths(r.ID), state: Creating, abandon: func(error) {}, renewal: make(chan struct{}, 1),
		asked: make(chan stopRequest, 1), over: make(chan struct{}), ended: make(chan struct{}),
		released: make(chan struct{}), witnessed: make(chan struct{}),
		execs: make(map[string]*execution), shown: make(map[uint64]string), proposed: make(chan struct{}, 1),
	}
}

// mayTouch says whether the caller may see the bottle and act on it.
func (b *bottle) mayTouch(c Caller) bool { return c.Root() || c.UID == b.record.Owner }

// Info returns what may be told about the bottle.
func (b *bottle) Info() Info {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &b.record
	i := Info{
		ID: r.ID, Name: r.Name, Owner: r.Owner, User: r.User, State: b.state, Command: r.Command, Dir: r.Dir,
		Created: r.Created, Generation: r.Generation, Routes: r.Routes, NetNS: r.NetNS, Exit: b.exit,
	}
	if (b.state == Running || b.state == Stopping) && r.Init.PID != 0 { // a start that failed may be stopping
		i.PID, i.WorkerPID, i.Cgroup, i.Adopted = r.Init.PID, r.Worker.PID, b.paths.inside(), b.init.adopted
	}
	return i
}

// begin makes the bottle a running one, with what its start found out. What was known
// before is left alone: it is read without a lock.
func (b *bottle) begin(found record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &b.record
	r.User, r.Env, r.CgroupID, r.NetNS, r.NetNSCookie = found.User, found.Env, found.CgroupID, found.NetNS, found.NetNSCookie
	r.Init, r.Worker = found.Init, found.Worker
	b.state = Running
}

func (b *bottle) setState(s State, exit *Exit) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state, b.exit = s, exit
}

// running returns an error where the bottle is not in the one state in which it
// can be acted on.
func (b *bottle) running() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != Running {
		return fmt.Errorf("%w: bottle %q is %s", ErrConflict, b.record.Name, b.state)
	}
	return nil
}

// supervise waits for the first reason to end the bottle and ends it.
func (b *bottle) supervise() {
	exit := Exit{}
	select {
	case <-b.init.done():
		exit = b.init.status
	case <-b.worker.Done():
		if b.init.over() { // both have ended, and this one has more to tell
			exit = b.init.status
			break
		}
		// Without its enforcer the bottle has no way out; nor has its work a future.
		exit = Exit{Code: exitKilled, Signal: int(syscall.SIGKILL), Reason: "its enforcer ended"}
	case r := <-b.asked:
		if r.reason == reasonForget {
			close(b.ended)
			return
		}
		b.setState(Stopping, nil)
		exit = b.terminate(r)
	}
	b.setState(Stopping, nil)
	b.lastWords()
	err := b.m.release(b.paths)
	close(b.released)
	if err != nil { // who waits for the command need not wait for what is left of it
		b.setState(Stopping, &exit)
		close(b.over)
	}
	if b.m.insist(b, err) { // else it may sleep in the kernel
		<-b.init.done() // killed with its group; reaps the child
	}
	<-b.witnessed
	b.setState(Exited, &exit)
	close(b.ended)
	b.m.o.Log.Info("bottle ended", "bottle", b.record.ID, "name", b.record.Name, "owner", b.record.Owner, "code", exit.Code, "reason", exit.Reason)
	b.m.trim(b.record.Owner)
}

// exitKilled is the status of a command that SIGKILL ended.
const exitKilled = 128 + int(syscall.SIGKILL)

// terminate asks the command to end and gives it the time it was granted.
func (b *bottle) terminate(r stopRequest) Exit {
	if r.grace > 0 && b.init.process.Signal(unix.SIGTERM) == nil {
		select {
		case <-b.init.done():
			exit := b.init.status
			exit.Reason = r.reason
			return exit
		case <-time.After(r.grace):
		}
	}
	return Exit{Code: exitKilled, Signal: int(syscall.SIGKILL), Reason: r.reason}
}

// stop asks the overseer to end the bottle and waits until it has. A start that is under
// way is given up, but for [reasonForget].
func (b *bottle) stop(ctx context.Context, grace time.Duration, reason string) error {
	if reason != reasonForget {
		b.abandon(fmt.Errorf("%w: %s while it was being made", ErrUnavailable, reason))
	}
	select {
	case b.asked <- stopRequest{grace: grace, reason: reason}:
	default: // somebody asked before
	}
	select {
	case <-b.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

const reasonForget = "forget"

// forget ends the overseer and leaves the bottle as it is.
func (b *bottle) forget() { _ = b.stop(context.Background(), 0, reasonForget) }
