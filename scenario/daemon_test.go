package scenario

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// daemon is a running `bottled daemon` with a place of its own.
type daemon struct {
	dir    string // everybody may pass it
	socket string
	state  string
	audit  string
	args   []string // before the daemon's own: what starts it elsewhere
	flags  []string

	cmd    *exec.Cmd
	log    string // file; a pipe would be held open by enforcers that outlive it
	exited chan struct{}
}

// startDaemon starts a daemon and ends it with the test, which fails if it left
// anything. wrap is a command that ends by executing its arguments.
func startDaemon(t *testing.T, wrap []string, flags ...string) *daemon {
	t.Helper()
	d := &daemon{dir: publicDir(t), args: wrap, flags: flags}
	d.socket, d.state, d.audit = filepath.Join(d.dir, "sock"), filepath.Join(d.dir, "run"), filepath.Join(d.dir, "audit.log")
	if err := os.Mkdir(d.state, 0o755); err != nil {
		t.Fatal(err)
	}
	d.start(t)
	t.Cleanup(func() { d.end(t) })
	return d
}

// start starts it, or starts it again, and waits until it answers.
func (d *daemon) start(t *testing.T) {
	t.Helper()
	argv := append(d.args[:len(d.args):len(d.args)], program("bottled"), "daemon",
		"--socket", d.socket, "--state-dir", d.state, "--audit-log", d.audit)
	argv = append(argv, d.flags...)
	d.cmd = exec.Command(argv[0], argv[1:]...)
	d.log, d.exited = filepath.Join(d.dir, "daemon.log"), make(chan struct{})
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func(cmd *exec.Cmd, exited chan struct{}) { _ = cmd.Wait(); close(exited) }(d.cmd, d.exited)
	eventually(t, "the daemon answers", 20*time.Second, func() error {
		select {
		case <-d.exited:
			t.Fatalf("the daemon ended: %s", d.said())
		default:
		}
		c, err := net.Dial("unix", d.socket)
		if err == nil {
			c.Close()
		}
		return err
	})
}

// said is its log.
func (d *daemon) said() []byte {
	text, err := os.ReadFile(d.log)
	if err != nil {
		return []byte(err.Error())
	}
	return text
}

// kill is kill -9.
func (d *daemon) kill(t *testing.T) {
	t.Helper()
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-d.exited
}

// end stops every bottle and the daemon, and looks for what is left of them.
func (d *daemon) end(t *testing.T) {
	defer func() {
		if t.Failed() {
			t.Logf("the daemon said:\n%s", d.said())
		}
	}()
	for _, b := range d.list(t) {
		d.client(t, nil, "stop", "--grace", "0", b.ID)
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("the daemon is gone: %v", err)
	}
	select {
	case <-d.exited:
	case <-time.After(20 * time.Second):
		t.Error("the daemon does not end")
		d.kill(t)
	}
	if code := d.cmd.ProcessState.ExitCode(); code != 0 && !t.Failed() {
		t.Errorf("the daemon ended with %d: %s", code, d.said())
	}
	left, err := filepath.Glob(filepath.Join(d.state, "*", "bottles", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("state left: %q, %v", left, err)
	}
}

// client runs the program's command line against d, and returns all it printed.
func (d *daemon) client(t *testing.T, env []string, args ...string) result {
	t.Helper()
	return execute(t, append(env, "BOTTLED_SOCKET="+d.socket), "", program("bottled"), args...)
}

// result is how a program ended.
type result struct {
	stdout, stderr string
	code           int
}

func (r result) String() string {
	return fmt.Sprintf("status %d\nstdout: %s\nstderr: %s", r.code, clip(r.stdout), clip(r.stderr))
}

// ok is a shorthand: status 0 and want in standard output.
func (r result) ok(want string) bool { return r.code == 0 && strings.Contains(r.stdout, want) }

func clip(s string) string {
	const limit = 4 << 10
	if len(s) > limit {
		return s[:limit/2] + "\n[…]\n" + s[len(s)-limit/2:]
	}
	return s
}

// execute runs a program on the host, with little in its environment.
func execute(t *testing.T, env []string, stdin, name string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*time.Minute) // cleaning up comes after the test
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TERM=dumb", "LANG=C.UTF-8"}, env...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("%s: %v", name, err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// eventually tries until f succeeds.
func eventually(t *testing.T, what string, within time.Duration, f func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, within, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// publicDir is a directory that every user may pass, unlike t.TempDir.
func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bottled-scenario-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The daemon's file system of pins is mounted below.
		_ = syscall.Unmount(filepath.Join(dir, "run", "bpf"), syscall.MNT_DETACH)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// lines is a buffer for what a process writes while the test reads.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
