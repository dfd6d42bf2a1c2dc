package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"

	"bottled/launch/inside"

	"golang.org/x/sys/unix"
)

// Exit is how a command ended: Exit.Status() is the shell's number for it.
type Exit = inside.Exit

// ErrUnknownExit is returned by Wait for an adopted process: only the parent of a
// process learns how it ended.
var ErrUnknownExit = errors.New("the process has ended, but how is known to its parent only")

// Process is a bottle's first process, or one that joined it. Its methods may be
// called at the same time from several goroutines, but Close only when nobody waits.
type Process struct {
	pid     int
	fd      int // the number of pidfd: File.Fd would make it block
	pidfd   *os.File
	sync    *os.File // nil for a process that was adopted
	reports *json.Decoder

	wait  sync.Once
	exit  Exit
	error error
}

func newProcess(pid, pidfd int, sync *os.File) *Process {
	_ = unix.SetNonblock(pidfd, true) // makes the runtime's poller take it; it blocks nowhere else
	return &Process{pid: pid, fd: pidfd, pidfd: os.NewFile(uintptr(pidfd), "pidfd"), sync: sync}
}

// Adopt returns the process pid, for a daemon that did not start it. Whether it is
// the one it is taken for is the caller's to verify, after Adopt: from then on
// the number can not come to mean another one.
func Adopt(pid int) (*Process, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	return newProcess(pid, fd, nil), nil
}

// PID is the process's number on the host. It stays its own until Wait returned.
func (p *Process) PID() int { return p.pid }

// PIDFD is a descriptor of the process, valid until Close.
func (p *Process) PIDFD() int { return p.fd }

// Signal sends s. The first process of a bottle passes on to the command what
// launch/inside lists; SIGKILL ends the bottle. A process that has ended is no error.
func (p *Process) Signal(s unix.Signal) error {
	return p.control(func(fd int) error {
		err := unix.PidfdSendSignal(fd, s, nil, 0)
		if errors.Is(err, unix.ESRCH) {
			return nil
		}
		return err
	})
}

// Kill ends the process, and with the first process everything in its bottle.
func (p *Process) Kill() error { return p.Signal(unix.SIGKILL) }

func (p *Process) control(f func(fd int) error) (err error) {
	raw, err := p.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	return errors.Join(raw.Control(func(fd uintptr) { err = f(int(fd)) }), err)
}

// Wait returns how the command ended, once it has and, for a first process, all
// of the bottle is gone. Every call returns the same. An error means that the
// end is unknown, or ErrUnknownExit.
func (p *Process) Wait() (Exit, error) {
	p.wait.Do(func() { p.exit, p.error = p.await() })
	return p.exit, p.error
}

func (p *Process) await() (Exit, error) {
	status, err := p.awaitEnd()
	if err != nil {
		return Exit{}, err
	}
	if p.reports != nil {
		// A first process can not die of the command's signal, so it reports it.
		var r inside.Report
		if p.reports.Decode(&r) == nil && r.Exited != nil {
			return *r.Exited, nil
		}
	}
	return status, nil
}

// awaitEnd sleeps in the runtime's poller, not in a thread per bottle.
func (p *Process) awaitEnd() (status Exit, err error) {
	raw, err := p.pidfd.SyscallConn()
	if err != nil {
		return Exit{}, err
	}
	pollErr := raw.Read(func(fd uintptr) (done bool) {
		status, done, err = p.tryWait(int(fd))
		return done
	})
	if pollErr != nil {
		return Exit{}, fmt.Errorf("wait for process %d: %w", p.pid, pollErr)
	}
	return status, err
}

func (p *Process) tryWait(pidfd int) (Exit, bool, error) {
	if p.sync == nil {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 0)
		return Exit{}, ready > 0 || err != nil && !errors.Is(err, unix.EINTR), errors.Join(ErrUnknownExit, err)
	}
	var status unix.WaitStatus
	pid, err := unix.Wait4(p.pid, &status, unix.WNOHANG, nil)
	switch {
	case errors.Is(err, unix.EINTR), err == nil && pid == 0:
		return Exit{}, false, nil
	case err != nil:
		return Exit{}, true, fmt.Errorf("wait for process %d: %w", p.pid, err)
	case status.Signaled():
		return Exit{Signal: status.Signal()}, true, nil
	}
	return Exit{Code: status.ExitStatus()}, true, nil
}

// Close frees what Process holds. The process is not touched.
func (p *Process) Close() error {
	err := p.pidfd.Close()
	if p.sync != nil {
		err = errors.Join(err, p.sync.Close())
	}
	return err
}
