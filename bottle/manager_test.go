package bottle

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bottled/audit"
)

// root is the caller of most tests, as sudo would make it: root who names a user.
var root = Caller{UID: 0, GID: 0, PID: os.Getpid()}

// someone is a user without an account.
var someone = Identity{UID: 31337, GID: 31337}

// newManager makes a manager with a run directory of its own, and checks at the
// end that it left nothing.
func newManager(t *testing.T, change ...func(*Options)) *Manager {
	t.Helper()
	o := Options{Run: runDir(t), Instance: NewInstance(), Audit: audit.Discard, Log: slog.New(slog.NewTextHandler(testWriter{t}, nil))}
	for _, c := range change {
		c(&o)
	}
	m, err := NewManager(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// The ended bottles of one user push out the oldest of their own, and nobody else's.
func TestExitedBottlesAreCountedByOwner(t *testing.T) {
	m := newManager(t)
	const busy, calm = 1001, 1002
	ended := func(owner uint32) *bottle {
		b := newBottle(m, record{ID: newID(), Owner: owner, Created: time.Now()})
		b.setState(Exited, &Exit{})
		close(b.ended)
		m.mu.Lock()
		m.bottles[b.record.ID] = b
		m.mu.Unlock()
		m.trim(owner)
		return b
	}
	theirs := ended(calm)
	first := ended(busy)
	for range maxExited {
		ended(busy)
	}
	if _, err := m.find(Caller{UID: calm}, theirs.record.ID); err != nil {
		t.Errorf("pushed out by another user's: %v", err)
	}
	if _, err := m.find(Caller{UID: busy}, first.record.ID); err == nil {
		t.Error("the control: more than the bound are kept")
	}
	if n := len(m.List(Caller{UID: busy}, true)); n != maxExited {
		t.Errorf("%d are kept, not %d", n, maxExited)
	}
}

// runDir is a run directory that every user may pass, unlike t.TempDir.
func runDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bottled-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Unmount(filepath.Join(dir, "bpf"), unix.MNT_DETACH) // mounted where the host has none
		os.RemoveAll(dir)
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// workDir is a directory that someone owns.
func workDir(t *testing.T) string {
	t.Helper()
	dir := runDir(t)
	if err := os.Chown(dir, int(someone.UID), int(someone.GID)); err != nil {
		t.Fatal(err)
	}
	return dir
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// output is what a command wrote, and how it ended.
type output struct {
	text string
	exit Exit
}

// run makes a bottle, waits for its command and returns what it wrote.
func run(t *testing.T, m *Manager, o CreateOptions) (output, error) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	dup, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	o.Stdio = Stdio{Streams: [3]*os.File{dup, w, nil}}
	if o.Manifest == nil {
		o.Manifest = []byte("version: 1\ndefaults: false\n")
	}
	if o.Dir == "" {
		o.Dir = workDir(t)
	}
	if o.User == nil {
		o.User = &someone
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	info, err := m.Create(ctx, root, o)
	if err != nil {
		return output{}, err
	}
	var text bytes.Buffer
	if _, err := io.Copy(&text, r); err != nil {
		t.Fatal(err)
	}
	exit, err := m.Wait(ctx, root, info.ID, false)
	return output{text.String(), exit}, err
}

func TestRunsACommandAndTellsHowItEnded(t *testing.T) {
	m := newManager(t)
	got, err := run(t, m, CreateOptions{Command: []string{"sh", "-c", "id -u; exit 7"}})
	if err != nil {
		t.Fatal(err)
	}
	if got.text != "31337\n" || got.exit.Code != 7 {
		t.Fatalf("got %q and %+v", got.text, got.exit)
	}
}
