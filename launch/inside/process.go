package inside

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"bottled/launch/filesystem"
	"bottled/launch/seccomp"
	"bottled/launch/step"

	"golang.org/x/sys/unix"
)

type process struct {
	plan   Plan
	sync   *os.File
	orders *json.Decoder // what comes over sync
	stdio  [3]uintptr
}

// run is the first process, from the plan to the end of the command. It returns the
// exit status.
func run() int {
	p := &process{sync: os.NewFile(SyncFD, "sync"), stdio: [3]uintptr{0, 1, 2}}
	if err := p.prepare(); err != nil {
		return p.fail(err)
	}
	if err := step.Run(p.steps(), p.plan.Fault); err != nil {
		return p.fail(err)
	}
	if p.plan.Join {
		return p.become()
	}
	if err := p.await(); err != nil {
		return p.fail(err)
	}
	return p.supervise()
}

// prepare closes what was not meant for us and reads the plan.
func (p *process) prepare() error {
	if err := closeInherited(); err != nil {
		return fmt.Errorf("cannot close inherited descriptors: %w", err)
	}
	if err := unix.CloseRange(SyncFD, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("cannot mark descriptors: %w", err)
	}
	unix.Umask(0o022)
	p.orders = json.NewDecoder(p.sync)
	if err := p.orders.Decode(&p.plan); err != nil {
		return fmt.Errorf("cannot read the plan: %w", err)
	}
	if len(p.plan.Argv) == 0 {
		return errors.New("the plan has no command")
	}
	return p.plan.User.Check()
}

// await says that all is as planned and returns nil when the command is to run: the
// bottle's walls may be raised meanwhile.
func (p *process) await() error {
	p.report(Report{Ready: true})
	var order Order
	if err := p.orders.Decode(&order); err != nil {
		return fmt.Errorf("the daemon does not say to run the command: %w", err)
	}
	if !order.Run {
		return errors.New("the daemon does not want the command to run")
	}
	return nil
}

// closeInherited closes what the daemon let slip through, such as the sockets that
// it got from systemd. What came through execve has no close-on-exec flag, and
// what the runtime opened since has one.
func closeInherited() error {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, n := range names {
		fd, err := strconv.Atoi(n.Name())
		if err != nil || fd <= FilesFD {
			continue
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC == 0 {
			err = unix.Close(fd)
		}
		if err != nil && !errors.Is(err, unix.EBADF) { // the directory's own is gone by now
			return err
		}
	}
	return nil
}

func (p *process) fail(err error) int {
	r := Report{Step: err.Error()}
	errors.As(err, &r.Errno)
	var path *filesystem.PathError
	if errors.As(err, &path) { // says all there is to say; the step adds nothing
		r.Step, r.Path = path.Error(), true
	}
	p.report(r)
	return 1
}

// report tells the parent. If it is gone there is nobody to tell.
func (p *process) report(r Report) {
	line, err := json.Marshal(r)
	if err == nil {
		_, _ = p.sync.Write(append(line, '\n'))
	}
}

func (p *process) filter() error {
	prog, err := seccomp.Program(seccomp.Options{UserNamespaces: p.plan.UserNamespaces})
	if err != nil {
		return err
	}
	return seccomp.Load(prog)
}

// become replaces the process by its command.
func (p *process) become() int {
	if p.plan.Terminal {
		if err := p.takeTerminal(); err != nil {
			return p.fail(fmt.Errorf("cannot take the terminal: %w", err))
		}
	}
	err := search(p.plan.Argv, p.plan.Env, func(path string, argv []string) error {
		return syscall.Exec(path, argv, p.plan.Env)
	})
	return p.failCommand(err)
}

// settle is how long after the start of the command the memory that the start took is
// given back: what a bottle does for hours is to wait, and short commands need not.
const settle = time.Second

// supervise starts the command, and ends with it.
func (p *process) supervise() int {
	signals := make(chan os.Signal, 64)
	signal.Notify(signals, forwarded...)
	command := 0
	err := search(p.plan.Argv, p.plan.Env, func(path string, argv []string) (err error) {
		command, err = syscall.ForkExec(path, argv, &syscall.ProcAttr{
			Env:   p.plan.Env,
			Files: p.stdio[:],
			Sys:   &syscall.SysProcAttr{Setsid: true, Setctty: p.plan.Terminal},
		})
		return err
	})
	if err == nil {
		err = p.letGo()
	}
	if err != nil {
		return p.failCommand(err)
	}
	p.report(Report{Started: true})
	time.AfterFunc(settle, debug.FreeOSMemory)
	go forward(signals, command)
	exit := reap(command)
	p.report(Report{Exited: &exit})
	return exit.Status()
}

func (p *process) failCommand(err error) int {
	r := Report{Command: err.Error()}
	errors.As(err, &r.Errno)
	p.report(r)
	return 1
}

// letGo gives up the command's descriptors and directory: a reader of its output
// sees the end when the command and its children close it, not when the bottle ends.
func (p *process) letGo() error {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	for fd := range 3 {
		if err := unix.Dup3(null, fd, 0); err != nil {
			return err
		}
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	// Only what is known to be ours: the runtime's poller has descriptors too.
	fds := []int{null, ConsoleFD, UsernsFD, FilesFD}
	if p.plan.Terminal {
		fds = append(fds, int(p.stdio[0]))
	}
	for _, fd := range fds {
		if err := unix.Close(fd); err != nil {
			return err
		}
	}
	return nil
}

// reap waits for every child there is until the command has ended.
func reap(command int) Exit {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return Exit{Code: 1} // the command can not have gone unseen: there is nobody else who waits
		}
		if pid != command {
			continue
		}
		if status.Signaled() {
			return Exit{Signal: status.Signal()}
		}
		return Exit{Code: status.ExitStatus()}
	}
}
