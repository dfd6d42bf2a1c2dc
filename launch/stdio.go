package launch

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// checkStdio refuses descriptors that would be a way out of the bottle: a
// directory is the host's file system (openat, and /proc/self/fd/0/…), a network
// socket belongs to the namespace in which it was made and is seen by no hook of the
// bottle, a device may be anything. Pipes, files, terminals and Unix sockets,
// which are what shells, services and remote logins hand over, are fine.
func checkStdio(stdio [3]*os.File) error {
	for i, f := range stdio {
		if f == nil {
			continue
		}
		raw, err := f.SyscallConn()
		if err != nil {
			return fmt.Errorf("descriptor %d: %w", i, err)
		}
		refused := ""
		if err := raw.Control(func(fd uintptr) { refused = wayOut(int(fd)) }); err != nil {
			return fmt.Errorf("descriptor %d: %w", i, err)
		}
		if refused != "" {
			return fmt.Errorf("descriptor %d is %s: a bottle gets pipes, files, terminals and Unix sockets only; put a pipe in between, as in \"… | cat\"", i, refused)
		}
	}
	return nil
}

// wayOut says what fd is when the bottle must not have it, and is empty otherwise.
func wayOut(fd int) string {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return "not readable: " + err.Error()
	}
	if flags&unix.O_PATH != 0 {
		return "a location in the host's file system"
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "not readable: " + err.Error()
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFIFO, unix.S_IFREG:
		return ""
	case unix.S_IFSOCK:
		if family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err == nil && family == unix.AF_UNIX {
			return ""
		}
		return "a network socket"
	case unix.S_IFDIR:
		return "a directory"
	case unix.S_IFCHR:
		if unix.Major(st.Rdev) == 1 { // null, zero, full, random, urandom; mem and kmem need root to open
			if m := unix.Minor(st.Rdev); m == 3 || m == 5 || m == 7 || m == 8 || m == 9 {
				return ""
			}
		}
		if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
			return ""
		}
		return "a device"
	}
	return "of no known kind" // block devices, and anonymous inodes: rings, event and namespace descriptors
}
