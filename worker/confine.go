package worker

import (
	"errors"
	"fmt"
	"os"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
	"kernel.org/pub/linux/libs/security/libcap/psx"

	"bottled/launch/identity"
	"bottled/launch/seccomp"
)

// readable is what a worker reads after it has started: the resolver's
// configuration, which may change under it.
var readable = []string{"/etc", "/run/systemd/resolve"}

// MaxWords bounds what a worker leaves on its standard error, in bytes.
const MaxWords = 64 << 10

// confine gives up for good what the worker does not need. It runs before the
// first hostile byte is read, and its error ends the worker.
func confine() error {
	if os.Getuid() == 0 || os.Geteuid() == 0 {
		return errors.New("worker: refusing to serve as uid 0")
	}
	// A bottle must not make its enforcer grow at the cost of the host's other processes.
	// With no way to write below /proc, nothing in the worker takes it back.
	if err := identity.LeaveOOMScore(); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	// Neither a core file nor another process of the same uid may read the tokens.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("worker: PR_SET_DUMPABLE: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("worker: RLIMIT_CORE: %w", err)
	}
	// Of all files it writes its last words alone, and can fill no disk with them.
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: MaxWords, Max: MaxWords}); err != nil {
		return fmt.Errorf("worker: RLIMIT_FSIZE: %w", err)
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
	// For every thread, as the filter is for every thread.
	if _, _, errno := psx.Syscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("worker: PR_SET_NO_NEW_PRIVS: %w", errno)
	}
	filter, err := seccomp.Enforcer()
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	if err := seccomp.Load(filter); err != nil {
		return fmt.Errorf("worker: %w", err)
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
