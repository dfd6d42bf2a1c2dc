package cgroup

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMountPoint(t *testing.T) {
	const v1 = "33 31 0:30 / /sys/fs/cgroup/cpu rw,relatime shared:4 - cgroup cgroup rw,cpu\n"
	for name, c := range map[string]struct{ mountinfo, want string }{
		"unified":          {"31 23 0:28 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw\n", "/sys/fs/cgroup"},
		"hybrid":           {v1 + "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n", "/sys/fs/cgroup/unified"},
		"without optional": {"41 31 0:38 / /x rw - cgroup2 cgroup2 rw\n", "/x"},
		"escaped":          {`41 31 0:38 / /a\040b\134 rw - cgroup2 cgroup2 rw` + "\n", `/a b\`},
		"legacy":           {v1, ""},
		"empty":            {"", ""},
		"garbage":          {"a\n - cgroup2\n- \n", ""},
	} {
		path := filepath.Join(t.TempDir(), "mountinfo")
		must(t, os.WriteFile(path, []byte(c.mountinfo), 0o600))
		got, err := mountPoint(path)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// A group that systemd handed over is used, and the processes in it move into a leaf.
func TestDelegated(t *testing.T) {
	mount, err := mountPoint("/proc/self/mountinfo")
	must(t, err)
	unit := place(t)
	g, err := Create(unit)
	must(t, err)
	defer g.Close()
	own, err := filepath.Rel(mount, unit)
	must(t, err)
	line := "4:memory:/x\n0::/" + own + "\n"
	if base, ok := delegated(mount, line); ok {
		t.Errorf("%q was not handed over", base)
	}
	must(t, unix.Setxattr(unit, "trusted.delegate", []byte("1"), 0))
	if base, ok := delegated(mount, line); base != unit || !ok {
		t.Errorf("got %q, %t", base, ok)
	}
	inLeaf := strings.TrimSpace(line) + "/" + daemonGroup + "\n"
	if base, ok := delegated(mount, inLeaf); base != unit || !ok {
		t.Errorf("from the leaf: %q, %t", base, ok)
	}
	if base, ok := delegated(mount, "0::/\n"); ok {
		t.Errorf("the root is nobody's: %q", base)
	}

	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: g.FD()}
	must(t, cmd.Start())
	defer cmd.Wait()
	defer cmd.Process.Kill()
	must(t, leave(unit))
	must(t, leave(unit))
	for dir, want := range map[string]int{unit: 0, filepath.Join(unit, daemonGroup): 1} {
		data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		must(t, err)
		if n := len(strings.Fields(string(data))); n != want {
			t.Errorf("%s has %d processes, want %d", dir, n, want)
		}
	}
}
