package launch

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"bottled/launch/inside"
	"bottled/launch/step"

	"golang.org/x/sys/unix"
)

func fcntlInherit(f *os.File) (int, int, unix.Errno) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, 0, unix.EBADF
	}
	var errno unix.Errno
	_ = raw.Control(func(fd uintptr) { _, _, errno = unix.Syscall(unix.SYS_FCNTL, fd, unix.F_SETFD, 0) })
	return 0, 0, errno
}

func execIn(t *testing.T, h *host, target *Process, s ExecSpec) (Exit, string) {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	p, err := Exec(t.Context(), target, s, h.cgroup, [3]*os.File{nil, w, w}, nil)
	w.Close()
	must(t, err)
	defer p.Close()
	var out bytes.Buffer
	_, err = out.ReadFrom(r)
	must(t, err)
	exit, err := p.Wait()
	must(t, err)
	return exit, out.String()
}

func TestExitStatus(t *testing.T) {
	h := newHost(t)
	for script, want := range map[string]Exit{
		"true": {}, "exit 7": {Code: 7}, "exit 255": {Code: 255},
		"kill -TERM $$": {Signal: unix.SIGTERM}, "kill -KILL $$": {Signal: unix.SIGKILL}, "kill -SEGV $$": {Signal: unix.SIGSEGV},
		"sleep 1000 & exit 3": {Code: 3}, // what is left is killed
	} {
		if _, got := h.run(t, h.spec("sh", "-c", script)); got != want {
			t.Errorf("%s: %+v, want %+v", script, got, want)
		}
	}
	if got := (Exit{Signal: unix.SIGKILL}).Status(); got != 137 {
		t.Errorf("status of SIGKILL is %d", got)
	}
}

func TestCommandNotExecuted(t *testing.T) {
	h := newHost(t)
	h.write(t, filepath.Join(h.dir, "data"), "#!/bin/sh\necho no\n")
	h.write(t, filepath.Join(h.dir, "noshebang"), "echo ran by sh: $1\n")
	must(t, os.Chmod(filepath.Join(h.dir, "noshebang"), 0o755))
	h.write(t, filepath.Join(h.dir, "nointerpreter"), "#!/no/such\n")
	must(t, os.Chmod(filepath.Join(h.dir, "nointerpreter"), 0o755))
	for command, want := range map[string]int{
		"no-such-command": 127, "/no/such": 127, "./data": 126, "/etc": 126, "": 127, "./nointerpreter": 127, "/etc/passwd/x": 127,
	} {
		s := h.spec(command)
		p, err := startBottle(t.Context(), s, h.netns, h.cgroup, [3]*os.File{}, nil)
		if err == nil {
			_ = p.Kill()
			t.Errorf("%q was executed", command)
			continue
		}
		var e *CommandError
		if !errors.As(err, &e) || e.ExitStatus() != want {
			t.Errorf("%q: %v, want a CommandError with %d", command, err, want)
		}
	}
	if out, exit := h.run(t, h.spec("./noshebang", "x")); out != "ran by sh: x\n" || exit.Status() != 0 {
		t.Errorf("a script without an interpreter: %v %q", exit, out)
	}
	if fds, _ := os.ReadDir("/proc/self/fd"); len(fds) > 30 {
		t.Errorf("%d descriptors are left open", len(fds))
	}
}

func TestSignals(t *testing.T) {
	h := newHost(t)
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	p, err := startBottle(t.Context(), h.spec("sh", "-c", `for s in HUP INT QUIT TERM USR1 USR2 WINCH; do trap "echo got $s" $s; done; trap 'exit 9' ALRM; echo ready; while :; do sleep 0.02; done`),
		h.netns, h.cgroup, [3]*os.File{nil, w, nil}, nil)
	w.Close()
	must(t, err)
	defer p.Close()
	lines := make([]byte, 64)
	expect := func(want string) {
		t.Helper()
		must(t, r.SetReadDeadline(time.Now().Add(10*time.Second)))
		n, err := r.Read(lines)
		if err != nil || string(lines[:n]) != want+"\n" {
			t.Fatalf("read %q, want %q: %v", lines[:n], want, err)
		}
	}
	expect("ready")
	for name, s := range map[string]unix.Signal{"HUP": unix.SIGHUP, "INT": unix.SIGINT, "QUIT": unix.SIGQUIT, "TERM": unix.SIGTERM,
		"USR1": unix.SIGUSR1, "USR2": unix.SIGUSR2, "WINCH": unix.SIGWINCH} {
		must(t, p.Signal(s))
		expect("got " + name)
	}
	must(t, p.Signal(unix.SIGALRM))
	if exit, err := p.Wait(); err != nil || exit.Code != 9 {
		t.Errorf("exit %+v, %v", exit, err)
	}
	if err := p.Signal(unix.SIGTERM); err != nil {
		t.Errorf("a signal to what has ended: %v", err)
	}
}

func TestKillEndsEverything(t *testing.T) {
	h := newHost(t)
	p, err := startBottle(t.Context(), h.spec("sh", "-c", "setsid sleep 1000 & setsid sleep 1000 & sleep 1000"), h.netns, h.cgroup, [3]*os.File{}, nil)
	must(t, err)
	defer p.Close()
	must(t, p.Kill())
	exit, err := p.Wait()
	if err != nil || exit.Signal != unix.SIGKILL {
		t.Errorf("%+v, %v", exit, err)
	}
	left, err := os.ReadFile(filepath.Join(h.cgroupPath, "cgroup.procs"))
	must(t, err)
	if len(left) != 0 {
		t.Errorf("processes are left after Wait: %q", left)
	}
}

func TestReapsOrphans(t *testing.T) {
	h := newHost(t)
	h.sh(t, "exec env BOTTLED_PROBE=orphans "+h.probe+" 1000")
}

// TestOutputEnds: a reader sees the end when the command closes its output, not
// when the bottle ends.
func TestOutputEnds(t *testing.T) {
	h := newHost(t)
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	p, err := startBottle(t.Context(), h.spec("sh", "-c", "echo done; exec >/dev/null 2>&1; exec sleep 1000"), h.netns, h.cgroup, [3]*os.File{nil, w, w}, nil)
	w.Close()
	must(t, err)
	defer p.Close()
	defer p.Wait()
	defer p.Kill()
	must(t, r.SetReadDeadline(time.Now().Add(10*time.Second)))
	var out bytes.Buffer
	if _, err := out.ReadFrom(r); err != nil || out.String() != "done\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// TestEveryStepAborts fails each step by its number: no command runs, nothing is left.
func TestEveryStepAborts(t *testing.T) {
	h := newHost(t)
	defer func() { fault = 0 }()
	mark := filepath.Join(h.dir, "ran")
	for n := 1; ; n++ {
		fault = n
		p, err := startBottle(t.Context(), h.spec("touch", mark), h.netns, h.cgroup, [3]*os.File{}, nil)
		if err == nil { // past the last step
			_, err := p.Wait()
			must(t, err)
			p.Close()
			if n < 20 {
				t.Errorf("there are only %d steps", n-1)
			}
			if _, err := os.Stat(mark); err != nil {
				t.Errorf("the control did not run: %v", err)
			}
			return
		}
		if !strings.Contains(err.Error(), step.ErrInjected.Error()) || !strings.Contains(err.Error(), "cannot ") {
			t.Errorf("step %d: %v", n, err)
		}
		t.Log(n, err)
		if _, err := os.Stat(mark); err == nil {
			t.Fatalf("step %d failed and the command ran", n)
		}
		left, err := os.ReadFile(filepath.Join(h.cgroupPath, "cgroup.procs"))
		must(t, err)
		if len(left) != 0 {
			t.Errorf("step %d left processes: %q", n, left)
		}
	}
}

func TestExecJoins(t *testing.T) {
	h := newHost(t)
	p, err := startBottle(t.Context(), h.spec("sleep", "1000"), h.netns, h.cgroup, [3]*os.File{}, nil)
	must(t, err)
	defer p.Close()
	defer p.Wait()
	defer p.Kill()
	adopted, err := Adopt(p.PID())
	must(t, err)
	defer adopted.Close()
	spec := func(script string) ExecSpec {
		return ExecSpec{UID: testUID, GID: testUID, Dir: h.dir, Argv: []string{"sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin", "X=1"}}
	}
	for _, ns := range []string{"net", "ipc", "uts", "pid", "cgroup", "mnt"} {
		want, err := os.Readlink("/proc/" + pidOf(t, p) + "/ns/" + ns)
		must(t, err)
		exit, out := execIn(t, h, adopted, spec("readlink /proc/self/ns/"+ns))
		if exit.Status() != 0 || ns != "cgroup" && strings.TrimSpace(out) != want {
			t.Errorf("%s: %q, the bottle's is %q", ns, out, want)
		}
	}
	exit, out := execIn(t, h, p, spec("grep -E 'Cap|NoNew|Seccomp:|Groups' /proc/self/status; hostname; pwd; ls /proc/self/fd; exit 5"))
	if exit.Code != 5 || strings.Count(out, "0000000000000000") != 5 || !strings.Contains(out, "NoNewPrivs:\t1") ||
		!strings.Contains(out, "Seccomp:\t2") || !strings.Contains(out, "bottle-test\n"+h.dir+"\n0\n1\n2\n3\n") {
		t.Errorf("%v\n%s", exit, out)
	}
	if exit, _ := execIn(t, h, p, spec("kill -USR1 $$")); exit.Signal != unix.SIGUSR1 {
		t.Errorf("killed by a signal: %+v", exit)
	}
	_, err = Exec(t.Context(), p, ExecSpec{UID: testUID, GID: testUID, Argv: []string{"no-such"}}, h.cgroup, [3]*os.File{}, nil)
	var ce *CommandError
	if !errors.As(err, &ce) || ce.ExitStatus() != 127 {
		t.Errorf("no such command: %v", err)
	}
	if _, err := Exec(t.Context(), p, ExecSpec{UID: 0, GID: 0, Argv: []string{"id"}}, h.cgroup, [3]*os.File{}, nil); err == nil {
		t.Error("a root command joined the bottle")
	}
	must(t, p.Kill())
	if _, err := adopted.Wait(); !errors.Is(err, ErrUnknownExit) {
		t.Errorf("the adopted process: %v", err)
	}
}

func pidOf(t *testing.T, p *Process) string {
	t.Helper()
	// The command's: the first process's own cgroup namespace is the same.
	return strconv.Itoa(p.PID())
}

// TestThePreparedWait: without the order to run it there is no command, whether the
// bottle is discarded or its daemon ends. The control gives the order.
func TestThePreparedWait(t *testing.T) {
	h := newHost(t)
	mark := filepath.Join(h.dir, "ran")
	prepare := func() *Prepared {
		p, err := Prepare(t.Context(), h.spec("touch", mark), h.netns, h.cgroup, [3]*os.File{}, nil)
		must(t, err)
		return p
	}
	discarded := prepare()
	// What it held now, no hook that is attached later would see.
	if n := sockets(t, discarded.PID()); n != 1 {
		t.Errorf("the first process waits with %d sockets, not with that to the daemon alone", n)
	}
	discarded.Discard()
	orphan := prepare()
	must(t, orphan.process.sync.Close()) // as the end of the daemon does
	if exit, err := orphan.process.awaitEnd(); err != nil || exit.Code != 1 {
		t.Errorf("%v, %v", exit, err)
	}
	refused := prepare()
	if _, err := refused.process.ask(t.Context(), inside.Order{}); err == nil || !strings.Contains(err.Error(), "does not want") {
		t.Errorf("an order that orders nothing: %v", err)
	}
	refused.Discard()
	if _, err := os.Stat(mark); err == nil {
		t.Fatal("the command ran")
	}
	p, err := prepare().Run(t.Context())
	must(t, err)
	defer p.Close()
	_, err = p.Wait()
	must(t, err)
	if _, err := os.Stat(mark); err != nil {
		t.Errorf("the control: %v", err)
	}
}

// sockets counts those that a process holds.
func sockets(t *testing.T, pid int) int {
	t.Helper()
	fds, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/fd/*")
	must(t, err)
	n := 0
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil && strings.HasPrefix(target, "socket:") {
			n++
		}
	}
	return n
}
