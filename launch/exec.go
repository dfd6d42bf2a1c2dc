package launch

import (
	"context"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"bottled/launch/inside"
)

// Exec runs one more command in the bottle whose first process is target, with
// the same restrictions. cgroupFD is the bottle's control group. stdio and
// console are as for [Prepare]. The command is its own process: signals reach it
// directly, and Wait returns when it has ended.
//
// Until it is executed, its process is one that others of the bottle can stop, being of
// their user: one that takes longer than ctx, or than half a minute, is killed.
func Exec(ctx context.Context, target *Process, spec ExecSpec, cgroupFD int, stdio [3]*os.File, console *os.File) (*Process, error) {
	plan, err := spec.plan()
	if err != nil {
		return nil, err
	}
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	defer exe.Close()
	return spawn(ctx, plan, stdio, console, extras{exe}, func(attr *syscall.ProcAttr) (string, error) {
		attr.Sys.CgroupFD = cgroupFD
		// Its own view of the groups, whose root is the bottle's as the first process's is.
		// That namespace cannot be entered here: where cgroup2 is mounted with nsdelegate, as
		// systemd does, whoever is in one cannot bring a process in from outside
		// (kernel/cgroup/cgroup.c, cgroup_procs_write_permission).
		attr.Sys.Unshareflags = unix.CLONE_NEWCGROUP
		// A mount namespace can be entered only by a thread that shares its root
		// directory with no other (setns(2)).
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return "", err
		}
		const all = unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
		err := target.control(func(pidfd int) error { return unix.Setns(pidfd, all) })
		if err != nil {
			return "", fmt.Errorf("enter the bottle: %w", err)
		}
		// The host's path of our executable means nothing here, its descriptor does.
		return fmt.Sprintf("/proc/self/fd/%d", inside.UsernsFD), nil
	})
}
