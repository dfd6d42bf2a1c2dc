package siege

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// sleeper is a process of uid 65534 that does not hide itself.
func sleeper(t testing.TB) int {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually(t, "sleep is executed", patience, func() bool {
		comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", cmd.Process.Pid))
		return err == nil && strings.TrimSpace(string(comm)) == "sleep"
	})
	return cmd.Process.Pid
}

// mapped is an address at which something is mapped in the process.
func mapped(t testing.TB, pid int) int {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	must(t, err)
	var from int
	if !scan(string(maps), "%x-", &from) {
		t.Fatalf("no mapping of process %d", pid)
	}
	return from
}

func uidOf(t testing.TB, pid int) uint32 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	_, rest, _ := strings.Cut(string(text), "\nUid:")
	var uid uint32
	if !scan(rest, "%d", &uid) {
		t.Fatalf("no uid of process %d", pid)
	}
	return uid
}

// descriptorsOf is how many descriptors a process has open.
func descriptorsOf(t testing.TB, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	must(t, err)
	return len(entries)
}
