package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"bottled/launch/filesystem"
	"bottled/launch/identity"
	"bottled/launch/inside"
	"bottled/launch/thread"

	"golang.org/x/sys/unix"
)

// fault is the number of the step that fails in the next bottles. Tests set it.
var fault int

// Prepare makes a bottle of the network namespace and the control group that it is
// given, which stay the caller's, and its first process, which makes all ready for the
// command of spec, becomes the user of spec and waits to be told to run it.
//
// stdio becomes the command's descriptors 0, 1, 2; a nil file is /dev/null, and
// what could be a way out (a directory, a network socket) is refused. With
// spec.Terminal they are ignored and the master of the command's terminal is sent over
// console, a Unix stream socket (package launch/console has the other end).
// None of the files is closed.
//
// The control group must be fresh: one whose cgroup.kill was ever written kills
// what is born in it.
//
// A first process that takes longer than ctx, or than half a minute, is killed.
func Prepare(ctx context.Context, spec Spec, netnsFD, cgroupFD int, stdio [3]*os.File, console *os.File) (*Prepared, error) {
	plan, err := spec.plan()
	if err != nil {
		return nil, err
	}
	var userns, files *os.File
	if plan.Tree.Files, files, err = filesystem.Pack(spec.Files); err != nil {
		return nil, err
	}
	defer files.Close()
	if spec.MapDir {
		fd, err := filesystem.OwnerMapping(spec.Dir, plan.User)
		if err != nil {
			return nil, err
		}
		userns = os.NewFile(uintptr(fd), "userns")
		defer userns.Close()
	}
	p, err := spawn(ctx, plan, stdio, console, extras{userns, files}, func(attr *syscall.ProcAttr) (string, error) {
		attr.Sys.CgroupFD = cgroupFD
		attr.Sys.Cloneflags = unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
		// Not with clone: the namespace's root is then the group of the parent.
		attr.Sys.Unshareflags = unix.CLONE_NEWCGROUP
		if err := unix.Setns(netnsFD, unix.CLONE_NEWNET); err != nil {
			return "", fmt.Errorf("enter the network namespace: %w", err)
		}
		return "/proc/self/exe", nil
	})
	if err != nil {
		return nil, err
	}
	return &Prepared{p}, nil
}

// extras are the child side's descriptors after the command's and the two sockets; nil
// is /dev/null.
type extras [2]*os.File

// enter prepares the calling thread for a fork into the bottle and returns the
// path of our executable there.
type enter func(*syscall.ProcAttr) (string, error)

// spawn starts the child side, gives it the plan and waits until all is ready for the
// command, or, where it joins a bottle, until it became the command.
func spawn(ctx context.Context, plan inside.Plan, stdio [3]*os.File, console *os.File, more extras, enter enter) (*Process, error) {
	if plan.Terminal && console == nil {
		return nil, errors.New("a terminal is wanted, but there is no console to send it to")
	}
	if !plan.Terminal {
		if err := checkStdio(stdio); err != nil {
			return nil, err
		}
	}
	plan.Fault = fault
	ours, theirs, err := syncPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	pid, pidfd, err := fork(plan, stdio, theirs, console, more, enter)
	if err != nil {
		ours.Close()
		return nil, err
	}
	theirs.Close() // so that its end shows when the child ends
	p := newProcess(pid, pidfd, ours)
	if err := p.instruct(ctx, plan); err != nil {
		return nil, p.abandon(err)
	}
	return p, nil
}

// initEnv is the environment of the child side. The runtime would otherwise keep
// the host's cgroup files open to follow its limits.
var initEnv = []string{"GOTRACEBACK=none", "GOMAXPROCS=1", "GODEBUG=containermaxprocs=0,updatemaxprocs=0"}

// fork clones on a thread that is in the right namespaces and thrown away.
func fork(plan inside.Plan, stdio [3]*os.File, sync, console *os.File, more extras, enter enter) (pid, pidfd int, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, -1, err
	}
	defer null.Close()
	files := [inside.FilesFD + 1]*os.File{inside.SyncFD: sync, inside.UsernsFD: more[0], inside.FilesFD: more[1]}
	if plan.Terminal {
		files[inside.ConsoleFD] = console
	} else {
		copy(files[:], stdio[:])
	}
	fds := make([]uintptr, len(files))
	for i, f := range files {
		if f == nil {
			f = null
		}
		fds[i] = f.Fd()
	}
	pidfd = -1
	err = thread.Run(func() error {
		// A session keyring of its own, empty: the daemon's would be inherited.
		if _, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0); err != nil && !errors.Is(err, unix.ENOSYS) {
			return fmt.Errorf("make a session keyring: %w", err)
		}
		attr := &syscall.ProcAttr{
			Files: fds,
			Env:   initEnv,
			Sys:   &syscall.SysProcAttr{Setsid: true, UseCgroupFD: true, PidFD: &pidfd},
		}
		path, err := enter(attr)
		if err != nil {
			return err
		}
		if err := identity.Bequeath(); err != nil {
			return err
		}
		if pid, err = syscall.ForkExec(path, []string{inside.Name}, attr); err != nil {
			return fmt.Errorf("start the first process: %w", err)
		}
		return nil
	})
	return pid, pidfd, err
}

// syncPair is the socket between the two sides.
func syncPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.SetNonblock(fds[0], true); err != nil { // for the runtime's poller
		return nil, nil, errors.Join(err, unix.Close(fds[0]), unix.Close(fds[1]))
	}
	return os.NewFile(uintptr(fds[0]), "sync"), os.NewFile(uintptr(fds[1]), "sync of the bottle"), nil
}
