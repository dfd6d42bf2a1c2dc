package identity

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"bottled/launch/step"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// Identity is who the process becomes. The zero value is refused: nobody
// becomes root by leaving a field out.
type Identity struct {
	UID, GID uint32   // of the host; never 0
	Groups   []uint32 // supplementary; empty means none, not the caller's
}

// Securebits, each with its lock: set-user-ID root gives no capabilities, a
// change of user does not touch them, none is kept or raised ambiently
// (capabilities(7)).
const lockedSecurebits = 1<<0 | 1<<1 | // NOROOT
	1<<2 | 1<<3 | // NO_SETUID_FIXUP
	1<<5 | // KEEP_CAPS stays off: its lock only
	1<<6 | 1<<7 // NO_CAP_AMBIENT_RAISE

// Check refuses an identity that no bottle may have.
func (id Identity) Check() error {
	if id.UID == 0 || id.GID == 0 {
		return fmt.Errorf("a bottle never runs as root: user %d, group %d were asked for; name an unprivileged user", id.UID, id.GID)
	}
	if id.UID == ^uint32(0) || id.GID == ^uint32(0) {
		return errors.New("4294967295 is not a user or group: the kernel reads it as \"leave unchanged\"")
	}
	for _, g := range id.Groups {
		if g == 0 || g == ^uint32(0) {
			return fmt.Errorf("a bottle is never in group %d", g)
		}
	}
	return nil
}

// Drop returns the steps that make the process id, in the order in which they
// must be taken. After an error in any of them the process must exit.
func Drop(id Identity) []step.Step {
	return []step.Step{
		step.New("set supplementary groups", func() error { return setgroups(id.Groups) }),
		step.New("set the group", func() error { return every(unix.SYS_SETRESGID, id.GID) }),
		// The bounding set and the securebits need CAP_SETPCAP, which goes with the user.
		step.New("empty the capability bounding set", emptyBounding),
		step.New("clear ambient capabilities", func() error {
			return prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL)
		}),
		step.New("set the user", func() error { return setuser(id.UID) }),
		step.New("clear capabilities", clearCapabilities),
		step.New("set no_new_privs", func() error { return prctl(unix.PR_SET_NO_NEW_PRIVS, 1) }),
		// A change of user makes a process non-dumpable only where the sysctl
		// fs.suid_dumpable says so; this holds on every host.
		step.New("become undumpable", func() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }),
		step.New("verify the drop", func() error { return Verify(id) }),
	}
}

func every(trap uintptr, id uint32) error {
	if _, _, errno := psx.Syscall3(trap, uintptr(id), uintptr(id), uintptr(id)); errno != 0 {
		return errno
	}
	return nil
}

func prctl(option, arg uintptr) error {
	if _, _, errno := psx.Syscall6(unix.SYS_PRCTL, option, arg, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

func setgroups(groups []uint32) error {
	list := make([]uint32, len(groups)+1) // never empty, so that it has an address
	copy(list, groups)
	_, _, errno := psx.Syscall3(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&list[0])), 0)
	runtime.KeepAlive(&list)
	if errno != 0 {
		return errno
	}
	return nil
}

// Bequeath prepares the calling thread for the fork of a process that drops all it has
// by [Drop]: it empties the thread's bounding set, which a child starts with, and makes
// its capabilities inheritable, or none would come through the execve that follows
// (capabilities(7)). What Drop would do with a signal to each thread for each
// capability then is done. The thread is to be thrown away.
func Bequeath() error {
	var have [2]unix.CapUserData
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &have[0]); err != nil {
		return fmt.Errorf("read the capabilities: %w", err)
	}
	for i := range have {
		have[i].Inheritable = have[i].Permitted
	}
	if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &have[0]); err != nil {
		return fmt.Errorf("make the capabilities inheritable: %w", err)
	}
	return dropBounding(func(c uintptr) error { return unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0) })
}

// emptyBounding empties the bounding set of every thread.
func emptyBounding() error {
	return dropBounding(func(c uintptr) error { return prctl(unix.PR_CAPBSET_DROP, c) })
}

// dropBounding drops what is in the bounding set, of the capabilities that the running
// kernel knows.
func dropBounding(drop func(c uintptr) error) error {
	for c := uintptr(0); c < 64; c++ {
		known, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0)
		if err != nil { // EINVAL: past the last one
			break
		}
		if known == 0 {
			continue
		}
		if err := drop(c); err != nil {
			return fmt.Errorf("capability %d: %w", c, err)
		}
	}
	return nil
}

// setuser sets the securebits with the last use of CAP_SETPCAP, then the user.
// NO_SETUID_FIXUP keeps the kernel from clearing capabilities on the change, so
// clearCapabilities does it explicitly and in every case.
func setuser(uid uint32) error {
	if err := prctl(unix.PR_SET_SECUREBITS, lockedSecurebits); err != nil {
		return fmt.Errorf("lock the securebits: %w", err)
	}
	return every(unix.SYS_SETRESUID, uid)
}

// Static, because psx takes addresses as integers: a stack could move meanwhile.
var (
	capabilityHeader = unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	noCapabilities   [2]unix.CapUserData
)

func clearCapabilities() error {
	if _, _, errno := psx.Syscall3(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&capabilityHeader)), uintptr(unsafe.Pointer(&noCapabilities[0])), 0); errno != 0 {
		return errno
	}
	return nil
}
