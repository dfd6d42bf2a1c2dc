package bpf

import (
	"encoding/binary"
	"errors"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

var errNoSYN = errors.New("the SYN of the connection was not kept")

// savedISN reads the initial sequence number from the SYN that the kernel kept for an
// accepted connection (TCP_SAVED_SYN, tcp(7): the IP and TCP headers).
func savedISN(conn syscall.RawConn) (isn uint32, err error) {
	var header [120]byte // two headers with all the options they can have
	size := uint32(len(header))
	var errno unix.Errno
	if err := conn.Control(func(fd uintptr) {
		// x/sys has no getsockopt for bytes that may be zero.
		_, _, errno = unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.IPPROTO_TCP, unix.TCP_SAVED_SYN,
			uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&size)), 0)
	}); err != nil {
		return 0, err
	}
	if errno != 0 {
		return 0, errno
	}
	return synISN(header[:size])
}

// synISN finds the sequence number behind an IPv4 header (RFC 791), or an IPv6 header
// without extensions (RFC 8200).
func synISN(h []byte) (uint32, error) {
	if len(h) == 0 {
		return 0, errNoSYN
	}
	transport := 0
	switch h[0] >> 4 {
	case 4:
		transport = int(h[0]&0x0f) * 4
	case 6:
		transport = 40
	}
	if transport < 20 || len(h) < transport+20 {
		return 0, errNoSYN
	}
	return binary.BigEndian.Uint32(h[transport+4:]), nil
}
