package identity

import (
	"errors"
	"fmt"
	"unsafe"

	"bottled/launch/thread"

	"golang.org/x/sys/unix"
)

// As runs f on a thread whose effective user and groups are those of id, and
// which therefore holds no effective capability while f runs: what f can open,
// the user could have opened. The caller must be root. f must stay on its
// goroutine. Safe for concurrent use.
func As(id Identity, f func() error) error {
	if err := id.Check(); err != nil {
		return err
	}
	return thread.Run(func() error { return asUser(id, f) })
}

func asUser(id Identity, f func() error) (err error) {
	before, err := unix.Getgroups()
	if err != nil {
		return err
	}
	own := make([]uint32, len(before))
	for i, g := range before {
		own[i] = uint32(g)
	}
	// Back to root at the end although the thread is thrown away: it may still be
	// on its way out when the next change is made on every thread of the process.
	defer func() {
		err = errors.Join(err, effective(0, 0, own))
	}()
	if err := effective(id.UID, id.GID, id.Groups); err != nil {
		return fmt.Errorf("take on user %d: %w", id.UID, err)
	}
	return f()
}

// effective changes the ids of the calling thread only (raw calls; the C and Go
// wrappers would change every thread). The file system ids follow.
func effective(uid, gid uint32, groups []uint32) error {
	const keep = ^uintptr(0)
	setUser := func() error {
		_, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, keep, uintptr(uid), keep)
		return check(errno, unix.Geteuid(), uid)
	}
	if uid == 0 { // CAP_SETGID comes back with user 0
		if err := setUser(); err != nil {
			return err
		}
	}
	list := make([]uint32, len(groups)+1) // never empty, so that it has an address
	copy(list, groups)
	_, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&list[0])), 0)
	if errno != 0 {
		return errno
	}
	_, _, errno = unix.RawSyscall(unix.SYS_SETRESGID, keep, uintptr(gid), keep)
	if err := check(errno, unix.Getegid(), gid); err != nil || uid == 0 {
		return err
	}
	return setUser()
}

func check(errno unix.Errno, got int, want uint32) error {
	if errno != 0 {
		return errno
	}
	if got != int(want) {
		return fmt.Errorf("id is %d after the change to %d", got, want)
	}
	return nil
}
