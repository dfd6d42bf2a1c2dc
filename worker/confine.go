package worker

import (
	"errors"
	"fmt"
	"os"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// forbidden are the system calls a worker has no use for and an intruder would:
// other programs, other processes, other namespaces, kernel interfaces with a
// history. They fail with EPERM. What stays is what the Go runtime, sockets and
// reading /etc need; bpf(2) stays because the flow map is read through it, and
// without a capability it can do no more than that.
var forbidden = []string{
	"execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise",
	"kcmp", "pidfd_getfd", "pidfd_open",
	"mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsmount", "fsconfig", "fspick", "mount_setattr",
	"unshare", "setns", "add_key", "request_key", "keyctl", "perf_event_open", "userfaultfd",
	"io_uring_setup", "io_uring_enter", "io_uring_register",
	"init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff",
	"open_by_handle_at", "name_to_handle_at", "quotactl", "acct", "personality", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime",
	"setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "setfsuid", "setfsgid",
}

// readable is what a worker reads after it has started: the resolver's
// configuration, which may change under it.
var readable = []string{"/etc", "/run/systemd/resolve"}

// confine gives up for good what the worker does not need. It runs before the
// first hostile byte is read, and its error ends the worker.
func confine() error {
	if os.Getuid() == 0 || os.Geteuid() == 0 {
		return errors.New("worker: refusing to serve as uid 0")
	}
	// Neither a core file nor another process of the same uid may read the tokens.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("worker: PR_SET_DUMPABLE: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("worker: RLIMIT_CORE: %w", err)
	}
	if err := noCapabilities(); err != nil {
		return err
	}
	// Landlock is a further wall where the kernel has it: without it the worker can
	// read what any stranger on the host can, and still write nothing.
	rules := make([]landlock.Rule, 0, len(readable))
	for _, dir := range readable {
		rules = append(rules, landlock.RODirs(dir).IgnoreIfMissing())
	}
	if err := landlock.V5.BestEffort().RestrictPaths(rules...); err != nil {
		return fmt.Errorf("worker: landlock: %w", err)
	}
	filter := seccomp.Filter{
		NoNewPrivs: true,
		Flag:       seccomp.FilterFlagTSync,
		Policy: seccomp.Policy{
			DefaultAction: seccomp.ActionAllow,
			Syscalls:      []seccomp.SyscallGroup{{Action: seccomp.ActionErrno, Names: forbidden}},
		},
	}
	if err := seccomp.LoadFilter(filter); err != nil {
		return fmt.Errorf("worker: seccomp: %w", err)
	}
	return nil
}

// noCapabilities makes sure that none is left: the uid change of exec should have
// cleared them, and a worker that finds one does not serve.
func noCapabilities() error {
	have := cap.GetProc()
	none := cap.NewSet()
	if diff, err := have.Cf(none); err != nil || diff != 0 {
		return fmt.Errorf("worker: holds capabilities %q: %w", have, errors.Join(err, unix.EPERM))
	}
	return nil
}
