package launch

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The probes are run by this test binary in a process of its own, inside a bottle
// and, as the positive control, outside. They exit with 0 when they got through.
var probes = map[string]func(args []string) error{
	"unix":    probeUnix,
	"fifo":    probeFifo,
	"connect": probeConnect,
	"socket":  probeSocket,
	"write":   func(a []string) error { return os.WriteFile(a[0], []byte(a[1]), 0) },
	"read":    func(a []string) error { _, err := os.ReadFile(a[0]); return err },
	"open":    func(a []string) error { f, err := os.Open(a[0]); _ = f.Close(); return err },
	"setns":   probeSetns,
	"unshare": probeUnshare,
	"uring":   probeUring,
	"bpf":     probeBPF,
	"shm":     probeShm,
	"vmread":  probeVMRead,
	"orphans": probeOrphans,
	"sandbox": probeSandbox,
	"fdpass":  probeFDPass,
}

func probe(name string, args []string) int {
	f, ok := probes[name]
	if !ok {
		fmt.Println("no such probe:", name)
		return 2
	}
	if err := f(args); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func probeUnix(a []string) error {
	c, err := net.DialTimeout("unix", a[0], time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}

// probeFifo looks for a reader at the other end of a FIFO.
func probeFifo(a []string) error {
	fd, err := unix.Open(a[0], unix.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err // ENXIO: nobody reads
	}
	return unix.Close(fd)
}

func probeConnect(a []string) error {
	c, err := net.DialTimeout("tcp", a[0], time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}

func probeSocket(a []string) error {
	var n [3]int
	for i := range n {
		v, err := strconv.Atoi(a[i])
		if err != nil {
			return err
		}
		n[i] = v
	}
	fd, err := unix.Socket(n[0], n[1], n[2])
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func probeSetns(a []string) error {
	fd, err := unix.Open(a[0], unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	return unix.Setns(fd, unix.CLONE_NEWNET)
}

func probeUnshare([]string) error {
	cmd := exec.Command("/bin/true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNET}
	return cmd.Run()
}

// probeUring reaches the kernel's io_uring when it complains about the argument.
func probeUring([]string) error {
	_, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, 0, 0)
	if errno == unix.EFAULT {
		return nil
	}
	return errno
}

// probeBPF reaches the kernel's bpf when it is asked for a map that is not there.
func probeBPF([]string) error {
	_, _, errno := unix.Syscall(unix.SYS_BPF, ^uintptr(0), 0, 0)
	if errno == unix.EINVAL {
		return nil
	}
	return errno
}

func probeShm(a []string) error {
	key, err := strconv.Atoi(a[0])
	if err != nil {
		return err
	}
	_, err = unix.SysvShmGet(key, 4096, 0)
	return err
}

// probeVMRead reads the memory of another process.
func probeVMRead(a []string) error {
	pid, err := strconv.Atoi(a[0])
	if err != nil {
		return err
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return err
	}
	return mem.Close()
}

// probeOrphans leaves children to the first process, as fast as it can.
func probeOrphans(a []string) error {
	n, err := strconv.Atoi(a[0])
	if err != nil {
		return err
	}
	for range n {
		// The shell exits at once; its child is an orphan then.
		if err := exec.Command("/bin/sh", "-c", "true & exec true").Run(); err != nil {
			return err
		}
	}
	for range 200 { // until only this one and the first process are left
		if left := processes(); left == 2 {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("%d processes are left", processes())
}

func processes() int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return -1
	}
	n := 0
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err == nil {
			n++
		}
	}
	return n
}

// probeSandbox does what a browser does: namespaces of its own, then a chroot.
func probeSandbox([]string) error {
	cmd := exec.Command("/bin/true")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		Chroot:      "/",
	}
	return cmd.Run()
}

// probeFDPass connects to a socket and takes a descriptor from whoever listens.
func probeFDPass(a []string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: a[0]}); err != nil {
		return err
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}); err != nil {
		return err
	}
	control := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(fd, make([]byte, 1), control, 0)
	if err != nil {
		return err
	}
	if n == 0 {
		return errors.New("no descriptor came")
	}
	return nil
}
