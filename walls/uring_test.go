package walls

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ring is as much of io_uring as it takes to make a socket and connect it without
// socket(2) and connect(2) (include/uapi/linux/io_uring.h).
type ring struct {
	fd       int
	rings    []byte // submission and completion ring share a mapping
	entries  []byte // submission queue entries, 64 bytes each
	sq, cq   [8]uint32
	consumed uint32
}

const (
	opConnect = 16
	opSocket  = 45
)

func newRing() (*ring, error) {
	var params [120]byte
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(&params)), 0)
	if errno != 0 {
		return nil, fmt.Errorf("io_uring_setup: %w", errno)
	}
	r := &ring{fd: int(fd)}
	for i := range r.sq {
		r.sq[i] = binary.NativeEndian.Uint32(params[40+4*i:])
		r.cq[i] = binary.NativeEndian.Uint32(params[80+4*i:])
	}
	var err error
	if r.rings, err = unix.Mmap(r.fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, fmt.Errorf("ring: %w", err)
	}
	r.entries, err = unix.Mmap(r.fd, 0x10000000, 256, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("entries: %w", err)
	}
	return r, nil
}

func (r *ring) word(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.rings[offset])) }

// do submits one operation and returns its result, or pending when there is none after
// some time.
func (r *ring) do(op byte, fd int32, addr uintptr, off uint64, size uint32) (result int32, pending bool, err error) {
	clear(r.entries[:64])
	r.entries[0] = op
	binary.NativeEndian.PutUint32(r.entries[4:], uint32(fd))
	binary.NativeEndian.PutUint64(r.entries[8:], off)
	binary.NativeEndian.PutUint64(r.entries[16:], uint64(addr))
	binary.NativeEndian.PutUint32(r.entries[24:], size)
	tail := r.word(r.sq[1])
	*r.word(r.sq[6] + 4*(*tail&*r.word(r.sq[2]))) = 0 // the array names the entry
	atomic.AddUint32(tail, 1)
	if _, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), 1, 0, 0, 0, 0); errno != 0 {
		return 0, false, fmt.Errorf("io_uring_enter: %w", errno)
	}
	for range 50 {
		if atomic.LoadUint32(r.word(r.cq[1])) != r.consumed {
			// A completion is user data (8 bytes), result, flags.
			at := r.cq[5] + 16*(r.consumed&*r.word(r.cq[2]))
			r.consumed++
			atomic.StoreUint32(r.word(r.cq[0]), r.consumed)
			return int32(*r.word(at + 8)), false, nil
		}
		time.Sleep(time.Millisecond)
	}
	return 0, true, nil
}

// uring connects through io_uring.
func uring(target string) error {
	a, family, _ := address(target)
	r, err := newRing()
	if err != nil {
		return err
	}
	fd, _, err := r.do(opSocket, int32(family), 0, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	if fd < 0 {
		return fmt.Errorf("socket: %w", unix.Errno(-fd))
	}
	var sa [16]byte
	binary.NativeEndian.PutUint16(sa[0:], unix.AF_INET)
	binary.BigEndian.PutUint16(sa[2:], a.Port())
	copy(sa[4:], a.Addr().AsSlice())
	var pin runtime.Pinner
	pin.Pin(&sa)
	defer pin.Unpin()
	result, pending, err := r.do(opConnect, fd, uintptr(unsafe.Pointer(&sa)), uint64(len(sa)), 0)
	if err != nil || pending || result >= 0 {
		return err
	}
	return fmt.Errorf("connect: %w", unix.Errno(-result))
}
