package api

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"bottled/bottle"
)

// maxPeerGroups bounds what SO_PEERGROUPS may return: NGROUPS_MAX of the kernel
// (include/uapi/linux/limits.h).
const maxPeerGroups = 65536

// A peer is the process that called connect(2), as the kernel recorded it then.
type peer struct {
	bottle.Caller
	pidfd int    // -1 where the kernel has no SO_PEERPIDFD (before 6.5)
	netns uint64 // cookie of the network namespace its socket was made in
}

// peerOf asks the kernel who is at the other end. Anything it will not say is an error.
func peerOf(uc *net.UnixConn) (peer, error) {
	p := peer{pidfd: -1}
	raw, err := uc.SyscallConn()
	if err != nil {
		return p, err
	}
	var inner error
	err = raw.Control(func(fd uintptr) { inner = p.read(int(fd)) })
	if err = errors.Join(err, inner); err != nil {
		p.close()
		return peer{pidfd: -1}, fmt.Errorf("asking the kernel for the peer: %w", err)
	}
	return p, nil
}

func (p *peer) read(fd int) error {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return fmt.Errorf("SO_PEERCRED: %w", err)
	}
	p.UID, p.GID, p.PID = cred.Uid, cred.Gid, int(cred.Pid)
	if p.Groups, err = peerGroups(fd); err != nil {
		return fmt.Errorf("SO_PEERGROUPS: %w", err)
	}
	if p.netns, err = netnsCookie(fd); err != nil {
		return fmt.Errorf("SO_NETNS_COOKIE: %w", err)
	}
	switch p.pidfd, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEERPIDFD); {
	case errors.Is(err, unix.ENOPROTOOPT):
		p.pidfd = -1 // rights do not rest on it
	case err != nil:
		p.pidfd = -1
		return fmt.Errorf("SO_PEERPIDFD: %w", err)
	}
	return nil
}

// peerGroups reads the supplementary groups. The kernel answers ERANGE, and the
// size it wants, where the buffer is too small (sk_getsockopt in net/core/sock.c).
func peerGroups(fd int) ([]uint32, error) {
	groups := make([]uint32, 32)
	for {
		size := uint32(len(groups)) * 4
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		runtime.KeepAlive(groups)
		n := int(size / 4)
		switch {
		case errno == 0:
			return groups[:n], nil
		case errno == unix.ERANGE && n > len(groups) && n <= maxPeerGroups:
			groups = make([]uint32, n)
		default:
			return nil, errno
		}
	}
}

// netnsCookie reads the namespace of a socket. That of an accepted Unix socket
// is the connector's: unix_stream_connect (net/unix/af_unix.c) makes it there.
func netnsCookie(fd int) (uint64, error) {
	return unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
}

// ownNetns is the cookie of this process's network namespace.
func ownNetns() (uint64, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	return netnsCookie(fd)
}

// in reports whether the peer is in the group.
func (p *peer) in(gid uint32) bool { return p.GID == gid || slices.Contains(p.Groups, gid) }

// gone reports whether the process that connected has exited, so that its pid may
// be somebody else's by now.
func (p *peer) gone() bool {
	if p.pidfd < 0 {
		return false
	}
	for {
		fds := []unix.PollFd{{Fd: int32(p.pidfd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		if err == syscall.EINTR {
			continue
		}
		return err != nil || n > 0 // pidfd_open(2): readable once the process has exited
	}
}

func (p *peer) close() {
	if p.pidfd >= 0 {
		unix.Close(p.pidfd)
		p.pidfd = -1
	}
}
