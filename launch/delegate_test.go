package launch

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Where systemd runs the host, cgroup2 is mounted with nsdelegate: who is in a cgroup
// namespace brings no process in from outside, not even root. The option is of the whole
// machine, and only as long as the test.
func TestExecWhereNamespacesDelegate(t *testing.T) {
	root := cgroupBase(t)
	options := optionsOf(t, root)
	remount := func(options string) {
		t.Helper()
		must(t, unix.Mount("", root, "", unix.MS_REMOUNT, options))
	}
	if !strings.Contains(options, "nsdelegate") {
		remount(strings.TrimPrefix(options+",nsdelegate", ","))
		t.Cleanup(func() { remount(options) })
	}
	h := newHost(t)
	p, err := startBottle(t.Context(), h.spec("sleep", "1000"), h.netns, h.cgroup, [3]*os.File{}, nil)
	must(t, err)
	defer p.Close()
	defer p.Wait()
	defer p.Kill()
	exit, out := execIn(t, h, p, ExecSpec{
		UID: testUID, GID: testUID, Dir: h.dir, Argv: []string{"grep", "0::", "/proc/self/cgroup"}, Env: []string{"PATH=/usr/bin:/bin"},
	})
	if exit.Status() != 0 || out != "0::/\n" {
		t.Errorf("%v, in group %q", exit, out)
	}
}

// optionsOf returns the options of the file system that is mounted there.
func optionsOf(t *testing.T, root string) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo") // proc_pid_mountinfo(5)
	must(t, err)
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if fields[4] == root {
			return strings.TrimPrefix(strings.TrimPrefix(fields[len(fields)-1], "rw"), ",")
		}
	}
	t.Fatalf("nothing is mounted at %s", root)
	return ""
}
