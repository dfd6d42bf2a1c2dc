package bottle

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

// TestWhatCannotBeReleasedCounts has the release of bottles fail, as it does where a process of
// theirs sleeps on a file server that does not answer: of one that ran and of one that never
// did. Each counts as its owner's until it is gone, which is tried until it works.
func TestWhatCannotBeReleasedCounts(t *testing.T) {
	var stuck, broken atomic.Bool
	m, err := NewManager(t.Context(), Options{Run: runDir(t), Instance: HostInstance + "-" + newID()[:8], Fault: func(operation string, _ int, step string) error {
		if operation == "release" && stuck.Load() || operation == "start" && step == "command" && broken.Load() {
			return errors.New("injected")
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	create := func(name string) error {
		_, err := m.Create(t.Context(), root, CreateOptions{
			Name: name, Command: []string{"sleep", "1000"}, Dir: workDir(t), User: &someone, Manifest: []byte("version: 1\ndefaults: false\n"),
		})
		return err
	}
	if err := create("ran"); err != nil {
		t.Fatal(err)
	}
	stuck.Store(true)
	broken.Store(true)
	if err := create("never"); err == nil {
		t.Fatal("the control: the start did not fail")
	}
	broken.Store(false)
	go m.Stop(t.Context(), root, "ran", 0)
	for _, name := range []string{"ran", "never"} {
		if !waitFor(func() bool { b, err := m.find(root, name); return err == nil && b.Info().State == Stopping }) {
			t.Errorf("%s is not stopping: %+v", name, m.List(root, true))
		}
		if err := create(name); !errors.Is(err, ErrConflict) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if exit, err := m.Wait(ctx, root, "ran", false); err != nil || exit.Code != exitKilled {
		t.Errorf("who waits for its command: %+v, %v", exit, err)
	}
	if len(leftovers(t, m)) == 0 {
		t.Error("the control: nothing is left")
	}
	stuck.Store(false)
	for end := time.Now().Add(20 * time.Second); len(m.List(root, false)) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it is not tried again: %+v", m.List(root, false))
		}
	}
	nothingLeft(t, m)
}
