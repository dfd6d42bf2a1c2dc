package netns

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// ID tells a namespace from every other one of the machine's life. The cookie is never
// given twice; the inode is what /proc/PID/ns/net shows.
type ID struct {
	Inode  uint64
	Cookie uint64
}

// Namespace is a network namespace, held by a descriptor: without a mount, so that it
// ends with the last process, socket or descriptor in it. Its methods may be used by
// several goroutines at once, except that Close must be the last.
type Namespace struct {
	file *os.File
	id   ID

	// fault is called before each step of a change. Tests make one of them fail.
	fault func(step string) error
}

// New makes a namespace. It has a loopback interface, which is down, and nothing else.
func New() (*Namespace, error) {
	var n *Namespace
	err := throwaway(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare: %w: it needs CAP_SYS_ADMIN, and no RestrictNamespaces= in the service", err)
		}
		n, err = open("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	return n, nil
}

// OpenPID opens the namespace of a process, and checks that it is the expected one:
// the number may be another process's by now. A zero want is an error.
func OpenPID(pid int, want ID) (*Namespace, error) {
	n, err := open("/proc/" + strconv.Itoa(pid) + "/ns/net")
	if err != nil {
		return nil, fmt.Errorf("open the network namespace of process %d: %w", pid, err)
	}
	return n.expect(want)
}

// OpenFD takes over a descriptor of a namespace, for instance one that the service
// manager kept, and checks that it is the expected one. A zero want is an error. On an
// error the descriptor is closed.
func OpenFD(fd int, want ID) (*Namespace, error) {
	n, err := identify(os.NewFile(uintptr(fd), "net"))
	if err != nil {
		return nil, fmt.Errorf("open the network namespace: %w", err)
	}
	return n.expect(want)
}

func (n *Namespace) expect(want ID) (*Namespace, error) {
	if n.id != want || want.Inode == 0 || want.Cookie == 0 {
		err := fmt.Errorf("open the network namespace: it is %d (cookie %d), not %d (cookie %d)", n.id.Inode, n.id.Cookie, want.Inode, want.Cookie)
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func open(path string) (*Namespace, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return identify(file)
}

// identify takes file over. The cookie is asked of a socket inside, which also shows
// that file is a network namespace and may be entered.
func identify(file *os.File) (*Namespace, error) {
	n := &Namespace{file: file, fault: func(string) error { return nil }}
	var stat unix.Stat_t
	err := unix.Fstat(n.FD(), &stat)
	if err == nil {
		err = n.Do(func() (err error) {
			n.id.Cookie, err = cookie()
			return err
		})
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	n.id.Inode = stat.Ino
	return n, nil
}

// cookie returns the cookie of the thread's namespace (SO_NETNS_COOKIE, Linux 5.14).
func cookie() (uint64, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	return unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
}

// ID returns what tells the namespace from others.
func (n *Namespace) ID() ID { return n.id }

// Inode returns the inode number of the namespace.
func (n *Namespace) Inode() uint64 { return n.id.Inode }

// Cookie returns the cookie of the namespace, by which eBPF programs know it.
func (n *Namespace) Cookie() uint64 { return n.id.Cookie }

// FD returns the descriptor of the namespace, which is close-on-exec. It stays the
// Namespace's.
func (n *Namespace) FD() int { return int(n.file.Fd()) }

// Close gives the descriptor back.
func (n *Namespace) Close() error { return n.file.Close() }

// Do calls f on a thread in the namespace and returns its error. What f opens belongs to
// the namespace for ever. A goroutine that f starts is not in it.
func (n *Namespace) Do(f func() error) error {
	return throwaway(func() error {
		if err := unix.Setns(n.FD(), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the network namespace: %w", err)
		}
		return f()
	})
}

// throwaway calls f on a thread that ends with it. A goroutine that ends locked takes
// its thread along (runtime.LockOSThread), so that no thread in a foreign namespace is
// ever given to other goroutines, whatever f does.
//
// The first thread of the process does not end, and is what /proc/PID/ns shows: it is
// held while another one does the work.
func throwaway(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			defer runtime.UnlockOSThread()
			done <- throwaway(f)
			return
		}
		done <- f()
	}()
	return <-done
}
