package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bottled/attack"
	"bottled/bottle"
)

// lines is a log that a test reads.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), text)
}

// rootDir is a directory that only root can write to, all the way down.
func rootDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/run", "bottled-daemon-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		mounts, _ := filepath.Glob(filepath.Join(dir, "*", "bpf")) // made where the host has no BPF file system
		for _, m := range mounts {
			_ = unix.Unmount(m, unix.MNT_DETACH)
		}
		os.RemoveAll(dir)
	})
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// serving is a daemon with a policy file.
type serving struct {
	*Daemon
	file string
	log  *lines
}

func serve(t *testing.T, policy string) *serving {
	t.Helper()
	dir := rootDir(t)
	s := &serving{file: filepath.Join(dir, "policy.yaml"), log: new(lines)}
	write(t, s.file, policy)
	var err error
	s.Daemon, err = New(Options{
		Socket: filepath.Join(dir, "bottled.sock"), StateDir: filepath.Join(dir, "state"), Policy: s.file,
		Log: slog.New(slog.NewTextHandler(s.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	<-s.Ready()
	return s
}

// hangup sends SIGHUP and waits until the daemon has said what came of it.
func (s *serving) hangup(t *testing.T, say string) {
	t.Helper()
	before := s.log.count(say)
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if s.log.count(say) > before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the log does not say %q", say)
}

// asks has a user ask for a host; nil is as far as that a token is missed, so that
// no bottle is made.
func (s *serving) asks(t *testing.T, host string) error {
	t.Helper()
	_, err := s.manager.Create(t.Context(), bottle.Caller{UID: 31337, GID: 31337}, bottle.CreateOptions{
		Command: []string{"true"}, Dir: "/", Manifest: []byte("version: 1\ndefaults: false\negress_proxy: {routes: [{host: " + host + ", auth: {scheme: Bearer, token_ref: NO_SUCH}}]}\n"),
	})
	if errors.Is(err, bottle.ErrInvalid) && strings.Contains(err.Error(), "NO_SUCH") {
		return nil
	}
	return err
}

const forbids = "version: 1\nhosts: {never: [db.example.com]}\n"

func TestAReload(t *testing.T) {
	s := serve(t, forbids)
	if err := s.asks(t, "db.example.com"); !errors.Is(err, bottle.ErrForbidden) || !strings.Contains(err.Error(), s.file+":2: hosts.never[0]") {
		t.Fatalf("got %v", err)
	}
	if err := s.asks(t, "web.example.com"); err != nil {
		t.Fatal(err)
	}
	write(t, s.file, "version: 1\nhosts: {never: [web.example.com]}\n")
	s.hangup(t, "policy reloaded")
	if err := s.asks(t, "db.example.com"); err != nil {
		t.Error(err)
	}
	if err := s.asks(t, "web.example.com"); !errors.Is(err, bottle.ErrForbidden) {
		t.Errorf("got %v", err)
	}
}

// TestAttackA21Reload: a reload with a policy that is broken, gone or not root's
// leaves the old one in force.
func TestAttackA21Reload(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, file string) error{
		"garbage":        func(t *testing.T, f string) error { write(t, f, "}{"); return nil },
		"empty":          func(t *testing.T, f string) error { write(t, f, ""); return nil },
		"unknown key":    func(t *testing.T, f string) error { write(t, f, "version: 1\nhost: {never: []}\n"); return nil },
		"truncated":      func(t *testing.T, f string) error { write(t, f, forbids[:len(forbids)-4]); return nil },
		"gone":           func(_ *testing.T, f string) error { return os.Remove(f) },
		"world-writable": func(t *testing.T, f string) error { write(t, f, "version: 1\n"); return os.Chmod(f, 0o666) },
	} {
		attack.Stopped(t, "A21", "reload: "+name,
			func(t *testing.T) error { // a sound policy does replace the old one
				s := serve(t, forbids)
				write(t, s.file, "version: 1\n")
				s.hangup(t, "policy reloaded")
				return s.asks(t, "db.example.com")
			},
			func(t *testing.T) error {
				s := serve(t, forbids)
				if err := spoil(t, s.file); err != nil {
					t.Fatal(err)
				}
				s.hangup(t, "the old one stays in force")
				if err := s.asks(t, "web.example.com"); err != nil {
					t.Errorf("what was allowed no longer is: %v", err)
				}
				return s.asks(t, "db.example.com")
			})
	}
}

func TestADaemonDoesNotStartWithABrokenPolicy(t *testing.T) {
	dir := rootDir(t)
	file := filepath.Join(dir, "policy.yaml")
	for name, text := range map[string]string{"broken": "version: 1\nhosts: never\n", "missing": ""} {
		os.Remove(file)
		if text != "" {
			write(t, file, text)
		}
		d, err := New(Options{Socket: filepath.Join(dir, "s"), StateDir: filepath.Join(dir, "state"), Policy: file})
		if err == nil || d != nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "state")); err == nil {
			t.Errorf("%s: it began before it had read its policy", name)
		}
	}
}

func TestTheUsualFileMayBeMissingOnlyUntilItWasThere(t *testing.T) {
	f := floor{path: filepath.Join(rootDir(t), "policy.yaml"), optional: true}
	if p, err := f.load(); err != nil || p == nil {
		t.Fatalf("%v, %v", p, err)
	}
	write(t, f.path, forbids)
	if _, err := f.load(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	if p, err := f.load(); err == nil || p != nil {
		t.Error("a policy that vanished is taken for the default")
	}
}
