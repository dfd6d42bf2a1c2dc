package siege

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bottled/attack"
)

// TestAttackMemory has a program in a bottle take more memory than there is, where the
// daemon and the enforcers have no more than it: it is the one that ends.
func TestAttackMemory(t *testing.T) {
	d := newDaemon(t)
	a, b := d.bottle(t, options{}), d.bottle(t, options{})
	storm := order{Op: "sh", Data: "head -c 400M /dev/zero | tail -c 400M > /dev/null"}
	free := outside(t)
	short := shortageOf(t, a, append(childrenOf(t, a.PID), a.PID, b.PID, a.WorkerPID, b.WorkerPID, d.cmd.Process.Pid)...)
	attack.Stopped(t, "X13", "a memory storm in a bottle, beside the daemon and the enforcers",
		func(t *testing.T) error { // where nothing is short it comes to its end
			said, err := free.do(storm)
			if err != nil {
				return fmt.Errorf("%s: %w", said.Body, err)
			}
			return nil
		},
		func(t *testing.T) error {
			_, err := a.do(storm)
			if n := short.kills(t); n == 0 {
				t.Errorf("nothing was killed: there was room for it: %v", err)
			}
			select {
			case <-d.ended:
				t.Error("the daemon was killed")
				return nil
			default:
			}
			neighbour(t, b)
			if _, err := a.do(order{Op: "get", URL: "https://" + allowedHost + "/"}); err != nil {
				t.Errorf("its enforcer serves no more: %v", err)
				return nil
			}
			return errors.Join(errors.New("the storm was killed, and nobody else"), err)
		})
}

// shortage is a group of processes with little memory.
type shortage struct {
	dir    string
	events string // file that counts what was killed
}

// little is how much there is, in bytes: more than any other process of the test takes, so
// that the storm is the largest when it is over.
const little = "268435456"

// shortageOf puts processes into a group of the memory hierarchy that is short of it.
// On a host with one hierarchy for everything it is the group of the bottle and its
// enforcer that is, since nobody can be in two.
func shortageOf(t *testing.T, b *besieged, pids ...int) shortage {
	t.Helper()
	hierarchy := "/sys/fs/cgroup/memory"
	if _, err := os.Stat(hierarchy); err != nil {
		s := shortage{filepath.Dir(b.Cgroup), "memory.events"}
		must(t, os.WriteFile(filepath.Join(s.dir, "memory.max"), []byte(little), 0))
		return s
	}
	s := shortage{filepath.Join(hierarchy, fmt.Sprintf("bottled-siege-%d", os.Getpid())), "memory.oom_control"}
	must(t, os.Mkdir(s.dir, 0o755))
	t.Cleanup(func() { // who is left in it goes back to where all are
		for pid := range strings.FieldsSeq(s.read(t, "cgroup.procs")) {
			_ = os.WriteFile(filepath.Join(hierarchy, "cgroup.procs"), []byte(pid), 0)
		}
		eventually(t, "the group is empty", patience, func() bool { return os.Remove(s.dir) == nil })
	})
	must(t, os.WriteFile(filepath.Join(s.dir, "memory.limit_in_bytes"), []byte(little), 0))
	for _, pid := range pids {
		must(t, os.WriteFile(filepath.Join(s.dir, "cgroup.procs"), fmt.Append(nil, pid), 0))
	}
	return s
}

func (s shortage) read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, file))
	must(t, err)
	return string(text)
}

// kills is how many processes the OOM killer has taken there.
func (s shortage) kills(t *testing.T) (n int) {
	t.Helper()
	for line := range strings.Lines(s.read(t, s.events)) {
		if count, ok := strings.CutPrefix(line, "oom_kill "); ok {
			_, err := fmt.Sscan(count, &n)
			must(t, err)
		}
	}
	return n
}

// childrenOf are the processes below one, whichever of its threads started them.
func childrenOf(t *testing.T, pid int) (pids []int) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	must(t, err)
	for _, path := range threads {
		text, err := os.ReadFile(path)
		must(t, err)
		for field := range strings.FieldsSeq(string(text)) {
			var child int
			_, err := fmt.Sscan(field, &child)
			must(t, err)
			pids = append(pids, child)
		}
	}
	if len(pids) == 0 {
		t.Errorf("process %d has no children", pid)
	}
	return pids
}
