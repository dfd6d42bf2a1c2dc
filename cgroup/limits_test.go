package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var some = Limits{Memory: 64 << 20, Processes: 100, CPU: 50 * time.Millisecond}

var someFiles = map[string]string{"memory.max": "67108864", "pids.max": "100", "cpu.max": "50000 100000"}

// Each limit is set, or its controller is named as missing; nothing is passed over.
func TestLimits(t *testing.T) {
	base, err := Base()
	must(t, err)
	g, err := Create(filepath.Join(place(t), "bottle"))
	must(t, err)
	defer g.Close()
	must(t, g.Limit(base, Limits{}))
	err = g.Limit(base, some)
	for file, want := range someFiles {
		controller, _, _ := strings.Cut(file, ".")
		got, readErr := os.ReadFile(filepath.Join(g.Path(), file))
		switch {
		case readErr != nil && (err == nil || !strings.Contains(err.Error(), "limit "+controller) || !errors.Is(err, ErrNoController)):
			t.Errorf("%s is not there, and Limit said %v", file, err)
		case readErr == nil && strings.TrimSpace(string(got)) != want:
			t.Errorf("%s is %q", file, got)
		}
	}
	if err := g.Limit(t.TempDir(), Limits{Memory: 1}); err == nil || errors.Is(err, ErrNoController) {
		t.Errorf("limited below a base that is not above the group: %v", err)
	}
}

// files stand for the groups of a host that gives all its controllers away, whatever
// those of the host are that the test runs on: base, a bottle's below, and one for
// its processes in that.
func files(t *testing.T, controllers string) (base string, g *Group) {
	t.Helper()
	base = filepath.Join(t.TempDir(), "base")
	g = &Group{path: filepath.Join(base, "id", "bottle")}
	must(t, os.MkdirAll(g.path, 0o755))
	for _, dir := range []string{base, filepath.Join(base, "id"), g.path} {
		must(t, os.WriteFile(filepath.Join(dir, "cgroup.controllers"), []byte(controllers), 0o600))
		must(t, os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), nil, 0o600))
	}
	for file := range someFiles {
		must(t, os.WriteFile(filepath.Join(g.path, file), nil, 0o600))
	}
	return base, g
}

func TestLimitsWhereControllersAre(t *testing.T) {
	base, g := files(t, "cpu memory pids\n")
	must(t, g.Limit(base, some))
	for file, want := range someFiles {
		got, err := os.ReadFile(filepath.Join(g.path, file))
		if string(got) != want || err != nil {
			t.Errorf("%s: %q, %v", file, got, err)
		}
	}
	for dir, handedDown := range map[string]bool{base: true, filepath.Dir(g.path): true, g.path: false} {
		got, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
		if (len(got) > 0) != handedDown || err != nil {
			t.Errorf("%s hands down %q, %v", dir, got, err)
		}
	}
}

// A controller that is missing does not hide that another limit failed.
func TestLimitThatFails(t *testing.T) {
	base, g := files(t, "memory\n")
	if err := g.Limit(base, some); !errors.Is(err, ErrNoController) {
		t.Errorf("with memory alone: %v", err)
	}
	limit := filepath.Join(g.path, "memory.max")
	must(t, errors.Join(os.Remove(limit), os.Mkdir(limit, 0o700)))
	if err := g.Limit(base, some); err == nil || errors.Is(err, ErrNoController) {
		t.Errorf("the limit cannot be written: %v", err)
	}
	control := filepath.Join(filepath.Dir(g.path), "cgroup.subtree_control")
	must(t, errors.Join(os.Remove(control), os.Mkdir(control, 0o700)))
	if err := g.Limit(base, some); err == nil || errors.Is(err, ErrNoController) {
		t.Errorf("the controller cannot be handed down: %v", err)
	}
}
