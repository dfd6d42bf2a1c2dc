package bottle

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// leftovers lists everything that a manager's bottles hold on the host: state
// directories, cgroups, pins, and processes that run as enforcers or in bottles.
func leftovers(t *testing.T, m *Manager) []string {
	t.Helper()
	var found []string
	for _, dir := range []string{filepath.Join(m.instance.dir, "bottles"), m.cgroups, m.pins} {
		for _, name := range names(dir) {
			found = append(found, filepath.Join(dir, name))
		}
	}
	return append(found, processesOf(t, m)...)
}

// processesOf lists the processes whose cgroup is below the manager's.
func processesOf(t *testing.T, m *Manager) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		text, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cgroup"))
		if err == nil && strings.Contains(string(text), "/"+m.o.Instance+"/") && !zombie(e.Name()) {
			found = append(found, "process "+e.Name())
		}
	}
	return found
}

// nothingLeft fails the test where something is. A process that was killed may take
// a moment to be gone.
func nothingLeft(t *testing.T, m *Manager) {
	t.Helper()
	var found []string
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if found = leftovers(t, m); len(found) == 0 {
			return
		}
	}
	t.Errorf("left behind: %s", strings.Join(found, ", "))
}

// descriptors is how many this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// zombie says whether a process has ended and waits for its parent.
func zombie(pid string) bool {
	text, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	return err != nil || strings.Contains(string(text), ") Z ")
}
