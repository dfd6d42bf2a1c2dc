package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"bottled/api"
	"bottled/launch/console"
)

// forwarded are the signals that go on to the command. TSTP and CONT also stop and
// continue this program.
var forwarded = []os.Signal{
	unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2,
	unix.SIGTSTP, unix.SIGCONT,
}

// terminalTimeout is how long a command that runs may take to show its terminal.
const terminalTimeout = 30 * time.Second

// A process is a command in a bottle: the bottle's own, or an exec.
type process struct {
	start  func(ctx context.Context, files []*os.File) (id string, err error)
	wait   func(ctx context.Context, id string) (api.Exit, error)
	signal func(ctx context.Context, id string, s syscall.Signal) error
}

// wantsTerminal decides whether the command gets a terminal.
func (a *App) wantsTerminal(yes, no bool) (bool, error) {
	in, out := term.IsTerminal(int(a.Stdin.Fd())), term.IsTerminal(int(a.Stdout.Fd()))
	switch {
	case yes && no:
		return false, usagef("-t and -T exclude each other")
	case yes && !in:
		return false, usagef("-t: standard input is not a terminal")
	}
	return yes || in && out && !no, nil
}

// attached starts a command, relays its streams and signals until it ends, and
// returns its status. A signal that comes before the command runs ends the attempt.
func (a *App) attached(ctx context.Context, signals <-chan os.Signal, terminal bool, p process) (int, error) {
	// Asked for, SIGPIPE no longer ends this program when its reader goes, and writing
	// fails instead (os/signal): there may be a daemon in it to be ended in order.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, unix.SIGPIPE)
	defer signal.Stop(broken)
	streams, err := a.streams(terminal)
	if err != nil {
		return 0, err
	}
	defer streams.close()

	id, early, err := p.begin(ctx, signals, streams.files())
	streams.handedOver()
	if early != 0 {
		return 128 + int(early), nil
	}
	if err != nil {
		return 0, err
	}

	relaying, stop := context.WithCancel(ctx)
	defer stop()
	go forward(relaying, signals, id, p)
	relay := make(chan error, 1)
	go func() { relay <- streams.relay(relaying) }()

	exit, err := patiently(ctx, func(ctx context.Context) (api.Exit, error) { return p.wait(ctx, id) })
	stop()
	err = errors.Join(err, <-relay)
	if err != nil {
		return 0, err
	}
	if exit.Reason != "" {
		a.complain(fmt.Errorf("the bottle: %s", exit.Reason))
	}
	return status(exit), nil
}

// begin starts the command. early is a signal that came before it ran: what was made all
// the same has nobody attached, and is stopped.
func (p process) begin(ctx context.Context, signals <-chan os.Signal, files []*os.File) (id string, early syscall.Signal, err error) {
	ctx, abort := context.WithCancel(ctx)
	defer abort()
	started := make(chan struct{})
	go func() {
		id, err = p.start(ctx, files)
		close(started)
	}()
	for {
		select {
		case <-started:
			return id, early, err
		case s := <-signals:
			if s != unix.SIGCONT && s != unix.SIGTSTP {
				early = s.(syscall.Signal)
				abort()
			}
		}
	}
}

// status is the exit status as a shell shows it.
func status(e api.Exit) int {
	if e.Signal > 0 {
		return 128 + e.Signal
	}
	return e.Code
}

// forward passes signals on until ctx ends. That the command has ended by then is no error.
func forward(ctx context.Context, signals <-chan os.Signal, id string, p process) {
	for {
		select {
		case <-ctx.Done():
			return
		case sig := <-signals:
			s := sig.(syscall.Signal)
			_ = p.signal(ctx, id, s)
			if s == unix.SIGTSTP { // this program is what the shell sees stop
				_ = unix.Kill(os.Getpid(), unix.SIGSTOP)
			}
		}
	}
}

// streams is how a command's input and output get here.
type streams interface {
	files() []*os.File           // what goes to the daemon
	handedOver()                 // the daemon has its own copies
	relay(context.Context) error // until the command's output ends; ctx ends when the command has
	close()
}

func (a *App) streams(terminal bool) (streams, error) {
	if !terminal {
		return newPipes(a.Stdin, a.Stdout, a.Stderr)
	}
	pair, err := console.NewPair()
	if err != nil {
		return nil, err
	}
	return &terminalStreams{pair, a.Stdin, a.Stdout}, nil
}

// terminalStreams is one terminal of the bottle's own.
type terminalStreams struct {
	pair    *console.Pair
	in, out *os.File
}

func (t *terminalStreams) files() []*os.File { return []*os.File{t.pair.Bottle} }
func (t *terminalStreams) handedOver()       { t.pair.Bottle.Close() }
func (t *terminalStreams) close()            { t.pair.Close() }

func (t *terminalStreams) relay(ctx context.Context) error {
	master, err := t.pair.Receive(time.Now().Add(terminalTimeout))
	if err != nil {
		return err
	}
	defer master.Close()
	return console.Relay(ctx, master, t.in, t.out)
}
