package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// Arg0 is the name under which the daemon's own binary is executed to be a worker.
const Arg0 = "bottled-worker"

// startTimeout bounds how long a worker may take from fork to ready. It parses
// the route table and the system's roots in that time: some ten milliseconds.
const startTimeout = 20 * time.Second

// handoffFD is where a worker finds its socketpair.
const handoffFD = 3

// StartOptions says how to start a worker.
type StartOptions struct {
	// Identity is the uid and gid of the worker, its own and no other process's. Never 0.
	Identity uint32
	// CgroupFD is a directory descriptor of the cgroup the worker is born in.
	CgroupFD int
	// Handoff is what the worker gets; Version and Files are filled in.
	Handoff Handoff
	// Files are the descriptors it gets, by the names of [FileTCP] and so on. Start does not close them.
	Files map[string][]*os.File
	// Control is where the worker's control socket is to be; its directory must be the daemon's alone.
	Control string
	// Executable is the daemon's binary; empty means /proc/self/exe.
	Executable string
	// Stderr is where the worker's own log lines go; nil means /dev/null.
	Stderr *os.File
}

// Start starts a worker and returns once it serves. On error nothing is left but
// perhaps an empty cgroup.
//
// It may be called from several goroutines at once.
func Start(o StartOptions) (*Worker, error) {
	if o.Identity == 0 {
		return nil, errors.New("worker: refusing to start as uid 0")
	}
	control, err := listenControl(o.Control)
	if err != nil {
		return nil, err
	}
	defer control.Close()

	ours, theirs, err := socketpair()
	if err != nil {
		return nil, err
	}
	defer ours.Close()
	cmd := command(o, theirs)
	err = startConfined(cmd)
	theirs.Close()
	if err != nil {
		return nil, fmt.Errorf("worker: start: %w", err)
	}
	w := &Worker{PID: cmd.Process.Pid, Control: o.Control, process: cmd.Process, done: make(chan struct{})}
	go w.reap(cmd)
	if err := handOver(ours, o, control); err != nil {
		w.Kill()
		<-w.done
		return nil, err
	}
	return w, nil
}

// handOver sends the handoff and waits for the answer.
func handOver(conn *net.UnixConn, o StartOptions, control *os.File) error {
	if err := conn.SetDeadline(time.Now().Add(startTimeout)); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	h := o.Handoff
	h.Version = handoffVersion
	h.Files = []string{FileControl}
	files := []*os.File{control}
	for _, name := range []string{FileTCP, FileDNS, FileDNSTCP, FileFlows} {
		for _, f := range o.Files[name] {
			h.Files = append(h.Files, name)
			files = append(files, f)
		}
	}
	if err := send(conn, h, files); err != nil {
		return err
	}
	var v verdict
	if err := json.NewDecoder(conn).Decode(&v); err != nil {
		return fmt.Errorf("worker: ended before it was ready: %w", err)
	}
	if !v.Ready {
		return fmt.Errorf("worker: %s", v.Error)
	}
	return nil
}

// command describes the child: the daemon's own binary, no environment, no
// argument, no descriptor but the socketpair.
func command(o StartOptions, handoff *os.File) *exec.Cmd {
	exe := o.Executable
	if exe == "" {
		exe = "/proc/self/exe"
	}
	return &exec.Cmd{
		Path:       exe,
		Args:       []string{Arg0},
		Env:        []string{"GOTRACEBACK=single", "GOGC=300", "GOMEMLIMIT=512MiB"},
		Dir:        "/",
		Stderr:     o.Stderr,
		ExtraFiles: []*os.File{handoff},
		SysProcAttr: &syscall.SysProcAttr{
			Setsid:      true, // no terminal, and no signal meant for the daemon's group
			Credential:  &syscall.Credential{Uid: o.Identity, Gid: o.Identity},
			UseCgroupFD: true,
			CgroupFD:    o.CgroupFD,
			Cloneflags:  unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		},
	}
}

// startConfined starts cmd from a thread whose capability bounding set is empty,
// so that the child's is too; the thread is thrown away. The effective set stays
// whole until the child's setuid(2) clears it.
func startConfined(cmd *exec.Cmd) error {
	errs := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		errs <- func() error {
			for c := cap.Value(0); c < cap.MaxBits(); c++ {
				if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil {
					return fmt.Errorf("drop %v from the bounding set: %w", c, err)
				}
			}
			return cmd.Start()
		}()
	}()
	return <-errs
}

// listenControl makes the control socket, which only root can reach.
func listenControl(path string) (*os.File, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("worker: control socket: %w", err)
	}
	defer l.Close()
	l.SetUnlinkOnClose(false) // the worker goes on listening
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, fmt.Errorf("worker: control socket: %w", err)
	}
	f, err := l.File()
	if err != nil {
		return nil, fmt.Errorf("worker: control socket: %w", err)
	}
	return f, nil
}

// socketpair returns the parent's end ready to use and the child's end to inherit.
func socketpair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("worker: socketpair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "handoff"), os.NewFile(uintptr(fds[1]), "handoff")
	conn, err := unixConn(ours)
	ours.Close()
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return conn, theirs, nil
}

// unixConn makes a connection of f, which stays open.
func unixConn(f *os.File) (*net.UnixConn, error) {
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errors.New("worker: the handed-over socket is not a Unix socket")
	}
	return u, nil
}
