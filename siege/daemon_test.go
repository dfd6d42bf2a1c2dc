package siege

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bottled/api"
	"bottled/api/client"
	"bottled/audit"
	"bottled/bottle"
	"bottled/bpf"
	"bottled/cgroup"
)

// daemonArg0 is the name under which the test binary is the daemon.
const daemonArg0 = "siege-daemon"

// daemonEnv carries the [daemonConfig].
const daemonEnv = "SIEGE_DAEMON"

type daemonConfig struct {
	Run, Instance, Socket, Resolver, Audit string
	Group                                  int    // gid that may call
	Mask                                   string // system call that the kernel is made to lack
}

// callers is the group whose members may call the daemon.
const callers = 42424

func daemonMain() int {
	var c daemonConfig
	if err := json.Unmarshal([]byte(os.Getenv(daemonEnv)), &c); err != nil {
		fmt.Fprintln(os.Stderr, "siege-daemon:", err)
		return 2
	}
	os.Unsetenv(daemonEnv)
	if err := runDaemon(c); err != nil {
		fmt.Fprintln(os.Stderr, "siege-daemon:", err)
		return 1
	}
	return 0
}

func runDaemon(c daemonConfig) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	h := newHalter()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	sink, err := audit.Open(c.Audit, audit.FileOptions{})
	if err != nil {
		return err
	}
	if err := mask(c.Mask); err != nil {
		return err
	}
	m, err := bottle.NewManager(ctx, bottle.Options{
		Run: c.Run, Instance: c.Instance, Resolver: c.Resolver, Log: log, Audit: sink, Fault: h.fault,
	})
	if err != nil {
		return err
	}
	l, err := api.Listen(c.Socket)
	if err != nil {
		return err
	}
	if err := errors.Join(os.Chown(c.Socket, 0, c.Group), os.Chmod(c.Socket, 0o660)); err != nil {
		return err
	}
	server := api.NewServer(m, log)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	if err := h.fault(ready.Operation, 0, ""); err != nil {
		return err
	}
	select {
	case err = <-served:
	case <-ctx.Done():
	}
	err = errors.Join(err, m.Close(), server.Close())
	closing, stop := context.WithTimeout(context.Background(), 5*time.Second)
	defer stop()
	_, auditErr := sink.Close(closing)
	return errors.Join(err, auditErr)
}

// daemon is a daemon process, seen by the besieger.
type daemon struct {
	*breakpoints
	*client.Client
	config daemonConfig
	home   testing.TB
	cmd    *exec.Cmd
	ended  chan struct{}
	log    *logBuffer
}

// logBuffer collects what a daemon writes.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// forget drops what was written so far.
func (b *logBuffer) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text.Reset()
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// newConfig makes a place for a daemon whose bottles outlive it.
func newConfig(t testing.TB) daemonConfig {
	t.Helper()
	run, err := os.MkdirTemp(world.dir, "run-")
	must(t, err)
	must(t, os.Chmod(run, 0o755))
	var id [4]byte
	rand.Read(id[:])
	return daemonConfig{
		Run: run, Instance: bottle.HostInstance + "-" + hex.EncodeToString(id[:]), Socket: filepath.Join(run, "bottled.sock"),
		Resolver: world.names.Addr(), Audit: filepath.Join(run, "audit"), Group: callers,
	}
}

// newDaemon starts a daemon at a place of its own; at the end of the test nothing of it
// may be left.
func newDaemon(t testing.TB) *daemon {
	t.Helper()
	c := newConfig(t)
	t.Cleanup(func() { // runs after every daemon of the place has ended
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		last, err := c.launch()
		if err != nil {
			t.Error(err)
			return
		}
		list, err := last.List(ctx, false)
		if err != nil {
			t.Error(err, last.log)
		}
		for _, b := range list {
			if err := last.Stop(ctx, b.ID, api.StopRequest{}); err != nil {
				t.Error(err)
			}
		}
		nothingLeft(t, c)
		last.end(t)
		for _, dir := range []string{c.cgroups(), c.pins()} {
			_ = os.Remove(dir) // a daemon that has no bottle removes them itself
			_ = os.Remove(filepath.Dir(dir))
		}
	})
	return c.start(t)
}

// start starts a daemon there, and ends it with the test.
func (c daemonConfig) start(t testing.TB) *daemon {
	t.Helper()
	d, err := c.launch()
	if err != nil {
		t.Fatal(err)
	}
	d.home = t
	t.Cleanup(func() { d.end(t) })
	return d
}

// launch starts a daemon and returns once it answers.
func (c daemonConfig) launch(change ...func(*exec.Cmd)) (*daemon, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	points, pointsIn, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	goOnOut, goOn, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	d := &daemon{
		breakpoints: &breakpoints{at: make(map[point]func(point)), ready: make(chan struct{})},
		Client:      client.New(c.Socket), config: c, ended: make(chan struct{}), log: new(logBuffer),
	}
	d.cmd = &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{daemonArg0}, Env: append(os.Environ(), daemonEnv+"="+string(text), "GORACE=halt_on_error=1 atexit_sleep_ms=0"),
		Dir: "/", Stderr: d.log, ExtraFiles: []*os.File{pointsIn, goOnOut}, WaitDelay: time.Second,
	}
	for _, f := range change {
		f(d.cmd)
	}
	err = d.cmd.Start()
	pointsIn.Close()
	goOnOut.Close()
	if err != nil {
		return nil, err
	}
	go d.serve(points, goOn)
	go func() { _ = d.cmd.Wait(); close(d.ended) }()
	select {
	case <-d.ready:
		return d, nil
	case <-d.ended:
		return nil, fmt.Errorf("the daemon ended: %s", d.log)
	case <-time.After(time.Minute):
		d.kill()
		return nil, fmt.Errorf("the daemon is not ready after a minute: %s", d.log)
	}
}

// kill ends the daemon as SIGKILL does.
func (d *daemon) kill() {
	_ = d.cmd.Process.Kill()
	<-d.ended
}

// end ends it as a service manager does, where it has not ended, and reports a race.
func (d *daemon) end(t testing.TB) {
	t.Helper()
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.ended:
	case <-time.After(30 * time.Second):
		t.Errorf("the daemon does not end: %s", d.log)
		d.kill()
	}
	d.Close()
	if log := d.log.String(); strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic") {
		t.Errorf("the daemon: %s", log)
	}
	if t.Failed() {
		t.Logf("the daemon wrote:\n%s", d.log)
	}
}

// again starts the next daemon at the place of one that has ended; it ends with the
// test that the first one was for.
func (d *daemon) again(t testing.TB) *daemon {
	t.Helper()
	return d.config.start(d.home)
}

// The places of a daemon's bottles among all groups and pins lie below one that the run
// directory determines; the instance's name is not used twice.

func (c daemonConfig) cgroups() string {
	base, err := cgroup.Base()
	if err != nil {
		panic(err)
	}
	return below(base, c.Instance)
}

func (c daemonConfig) pins() string { return below(filepath.Join(bpf.Mounted, "bottled"), c.Instance) }

func below(base, name string) string {
	found, err := filepath.Glob(filepath.Join(base, "*", name))
	if err != nil || len(found) > 1 {
		panic(fmt.Sprint(found, err))
	}
	if len(found) == 0 {
		return filepath.Join(base, "none", name)
	}
	return found[0]
}

func (c daemonConfig) states() string { return filepath.Join(c.Run, c.Instance, "bottles") }
