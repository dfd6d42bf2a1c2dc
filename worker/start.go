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
// the route table in that time: a few milliseconds.
const startTimeout = 20 * time.Second

// handoffFD is where a worker finds its socketpair.
const handoffFD = 3

// SpawnOptions says what process a worker is to be.
type SpawnOptions struct {
	// Identity is the uid and gid of the worker, its own and no other process's. Never 0.
	Identity uint32
	// CgroupFD is a directory descriptor of the cgroup the worker is born in.
	CgroupFD int
	// Control is where the worker's control socket is to be; its directory must be the daemon's alone.
	Control string
	// Executable is the daemon's binary; empty means /proc/self/exe.
	Executable string
	// Stderr is where the worker says why it ends, and the runtime why it crashed: a file,
	// of which it writes [MaxWords] bytes at most; nil means /dev/null. What is in it may be
	// of an attacker's making.
	Stderr *os.File
}

// Spawn starts a worker process, which confines itself and waits for
// [Worker.HandOver]. It returns at once, so that the worker's start goes on beside
// that of the rest of the bottle.
//
// It may be called from several goroutines at once.
func Spawn(o SpawnOptions) (*Worker, error) {
	if o.Identity == 0 {
		return nil, errors.New("worker: refusing to start as uid 0")
	}
	control, err := listenControl(o.Control)
	if err != nil {
		return nil, err
	}
	ours, theirs, err := socketpair()
	if err != nil {
		control.Close()
		return nil, err
	}
	cmd := command(o, theirs)
	err = startConfined(cmd)
	theirs.Close()
	if err != nil {
		ours.Close()
		control.Close()
		return nil, fmt.Errorf("worker: start: %w", err)
	}
	w := &Worker{
		PID: cmd.Process.Pid, Control: o.Control, process: cmd.Process, done: make(chan struct{}),
		pending: &pending{conn: ours, control: control},
	}
	go w.reap(cmd)
	return w, nil
}

// pending is what a worker that was spawned waits for.
type pending struct {
	conn    *net.UnixConn
	control *os.File
}

func (p *pending) close() {
	p.conn.Close()
	p.control.Close()
}

// HandOver gives a worker that was spawned what it serves with, once, and returns
// when it serves. h.Version and h.Files are filled in; files are the descriptors,
// by the names of [FileTCP] and so on, and stay the caller's. On an error the worker
// is dead.
func (w *Worker) HandOver(h Handoff, files map[string][]*os.File) error {
	p := w.pending
	if p == nil {
		return errors.New("worker: nothing is waited for")
	}
	w.pending = nil
	defer p.close()
	err := p.handOver(h, files)
	if err != nil {
		w.Kill()
		<-w.done
	}
	return err
}

// Discard ends a worker that was spawned, whether or not it got its handoff.
func (w *Worker) Discard() {
	if w.pending != nil {
		w.pending.close()
		w.pending = nil
	}
	w.Kill()
	<-w.done
}

// handOver sends the handoff and waits for the answer.
func (p *pending) handOver(h Handoff, files map[string][]*os.File) error {
	if err := p.conn.SetDeadline(time.Now().Add(startTimeout)); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	h.Version = handoffVersion
	h.Files = []string{FileControl}
	all := []*os.File{p.control}
	for _, name := range []string{FileTCP, FileDNS, FileDNSTCP, FileFlows, FileRoots} {
		for _, f := range files[name] {
			h.Files = append(h.Files, name)
			all = append(all, f)
		}
	}
	if err := send(p.conn, h, all); err != nil {
		return err
	}
	var v verdict
	if err := json.NewDecoder(p.conn).Decode(&v); err != nil {
		return fmt.Errorf("worker: ended before it was ready: %w", err)
	}
	if !v.Ready {
		return fmt.Errorf("worker: %s", v.Error)
	}
	return nil
}

// command describes the child: the daemon's own binary, no environment, no
// argument, no descriptor but the socketpair.
func command(o SpawnOptions, handoff *os.File) *exec.Cmd {
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
