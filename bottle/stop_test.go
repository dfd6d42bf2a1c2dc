package bottle

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestStopIsIdempotent(t *testing.T) {
	m := newManager(t)
	info := start1(t, m, "stopper")
	for range 3 {
		if err := m.Stop(t.Context(), root, info.ID, 0); err != nil {
			t.Fatal(err)
		}
		nothingLeft(t, m)
	}
	if err := m.Stop(t.Context(), root, "never-was", 0); err != nil {
		t.Error(err)
	}
}

func TestStopGivesTimeToEnd(t *testing.T) {
	m := newManager(t)
	dir := workDir(t)
	info, err := m.Create(t.Context(), root, CreateOptions{
		Command: []string{"bash", "-c", "trap 'exit 9' TERM; : > trapped; while :; do sleep 0.05; done"}, Dir: dir, User: &someone,
		Manifest: []byte("version: 1\ndefaults: false\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "trapped")); err == nil {
			break
		}
	}
	if err := m.Stop(t.Context(), root, info.ID, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	exit, err := m.Wait(t.Context(), root, info.ID, false)
	if err != nil || exit.Code != 9 {
		t.Errorf("got %+v, %v", exit, err)
	}
}

// A start that does not come to an end is given up when its bottle is to be stopped, and
// when the daemon ends: nobody's file server keeps either from it.
func TestAStartIsGivenUp(t *testing.T) {
	for name, give := range map[string]func(*Manager, string) error{
		"stopped while":          func(m *Manager, id string) error { return errors.Join(m.Stop(t.Context(), root, id, 0), m.Close()) },
		"the daemon ended while": func(m *Manager, _ string) error { return m.Close() },
	} {
		var m *Manager
		hangs, over := make(chan struct{}), make(chan struct{})
		fault := func(operation string, _ int, step string) error {
			if operation == "start" && step == "command" {
				m.mu.Lock()
				b := m.sorted(false)[0]
				m.mu.Unlock()
				abandon := b.abandon
				b.abandon = func(cause error) { abandon(cause); close(over) }
				close(hangs)
				<-over
			}
			return nil
		}
		var err error
		if m, err = NewManager(t.Context(), Options{Run: runDir(t), Instance: HostInstance + "-" + newID()[:8], Fault: fault}); err != nil {
			t.Fatal(err)
		}
		failed := make(chan error)
		go func() {
			_, err := m.Create(t.Context(), root, CreateOptions{
				Command: []string{"true"}, Dir: workDir(t), User: &someone, Manifest: []byte("version: 1\ndefaults: false\n"),
			})
			failed <- err
		}()
		<-hangs
		info := m.List(root, false)[0]
		if info.State != Creating {
			t.Errorf("the control: it is %s", info.State)
		}
		given := make(chan error)
		go func() { given <- give(m, info.ID) }()
		if err := <-failed; !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), name+" it was being made") {
			t.Errorf("%s: %v", name, err)
		}
		if err := <-given; err != nil {
			t.Error(err)
		}
		nothingLeft(t, m)
	}
}

// TestALostEnforcerEndsItsBottle kills the worker: a bottle without one has no
// listener, and is ended by the daemon.
func TestALostEnforcerEndsItsBottle(t *testing.T) {
	m := newManager(t)
	info := start1(t, m, "orphan")
	if err := syscall.Kill(info.WorkerPID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	exit, err := m.Wait(t.Context(), root, info.ID, false)
	if err != nil || exit.Reason != "its enforcer ended" {
		t.Errorf("got %+v, %v", exit, err)
	}
	nothingLeft(t, m)
}

func TestAStrangersBottleDoesNotExist(t *testing.T) {
	m := newManager(t)
	info := start1(t, m, "mine")
	stranger := Caller{UID: 4242, GID: 4242}
	if got := m.List(stranger, true); len(got) != 0 {
		t.Errorf("a stranger sees %d bottles", len(got))
	}
	_, foreign := m.Inspect(t.Context(), stranger, info.ID)
	_, missing := m.Inspect(t.Context(), stranger, "nothing-here")
	if !errors.Is(foreign, ErrNotFound) || !errors.Is(missing, ErrNotFound) {
		t.Errorf("got %v and %v", foreign, missing)
	}
	if err := m.Stop(t.Context(), stranger, info.ID, 0); err != nil {
		t.Error(err)
	}
	if err := m.Signal(t.Context(), stranger, info.ID, "", syscall.SIGKILL); !errors.Is(err, ErrNotFound) {
		t.Errorf("signal: %v", err)
	}
	if got := m.List(root, false); len(got) != 1 || got[0].State != Running {
		t.Errorf("the bottle was touched: %+v", got)
	}
}
