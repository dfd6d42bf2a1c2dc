package launch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience is longer than a join takes.
const patience = 2 * time.Second

// A program of the bottle stops whatever becomes its user, which a process that joins
// does before it executes its command. Whoever asked for that gets an answer in time, and
// the process is gone.
func TestAStoppedJoin(t *testing.T) {
	h := newHost(t)
	calm, err := startBottle(t.Context(), h.spec("sleep", "1000"), h.netns, h.cgroup, [3]*os.File{}, nil)
	must(t, err)
	join := func(target *Process) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		p, err := Exec(ctx, target, ExecSpec{UID: h.uid, GID: h.uid, Dir: "/", Argv: []string{"true"}}, h.cgroup, [3]*os.File{}, nil)
		if err != nil {
			return err
		}
		defer p.Close()
		_ = p.Kill()
		_, err = p.Wait()
		return err
	}
	if err := join(calm); err != nil {
		t.Fatalf("the control: %v", err)
	}
	must(t, calm.Kill())
	_, _ = calm.Wait()
	calm.Close()

	hostile, err := startBottle(t.Context(), h.spec("sh", "-c", "while :; do kill -STOP -1; done 2>/dev/null"), h.netns, h.cgroup, [3]*os.File{}, nil)
	must(t, err)
	defer func() {
		_ = hostile.Kill()
		_, _ = hostile.Wait()
		hostile.Close()
	}()
	stopped := false
	for range 20 { // one that had executed its command before it was stopped shows nothing
		began := time.Now()
		if err := join(hostile); err == nil {
			continue
		} else if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > patience+2*endTime {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		stopped = true
		break
	}
	if !stopped {
		t.Error("the control: no join was stopped")
	}
	left, err := os.ReadFile(filepath.Join("/proc/self/fd", strconv.Itoa(h.cgroup), "cgroup.procs"))
	if n := len(strings.Fields(string(left))); err != nil || n != 2 {
		t.Errorf("%d processes are left, not the first and its command: %v", n, err)
	}
}

// Who has gone gets no bottle.
func TestTheCallerHasGone(t *testing.T) {
	h := newHost(t)
	mark := filepath.Join(h.dir, "ran")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := startBottle(gone, h.spec("touch", mark), h.netns, h.cgroup, [3]*os.File{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("before: %v", err)
	}
	gone, cancel = context.WithCancel(t.Context())
	p, err := Prepare(gone, h.spec("touch", mark), h.netns, h.cgroup, [3]*os.File{}, nil)
	must(t, err)
	cancel()
	if _, err := p.Run(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("before the command: %v", err)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the command ran")
	}
}
