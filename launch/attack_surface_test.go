package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"bottled/attack"

	"golang.org/x/sys/unix"
)

// surface is what a program asks of the kernel in one call, and the row that it is of.
// The arguments do no harm: what gets past the checks fails over them.
var surface = []struct {
	id, name string
	do       func() error
}{
	{"K60", "sockets of the host, by NETLINK_SOCK_DIAG", asks(unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_INET_DIAG)},
	{"K34", "NETLINK_XFRM", asks(unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_XFRM)},
	{"K21", "NETLINK_GENERIC, where tunnels are made", asks(unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_GENERIC)},
	{"K49", "NETLINK_KOBJECT_UEVENT, where devices are told of", asks(unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_KOBJECT_UEVENT)},
	{"K34", "replace the tables of iptables", option(unix.IPPROTO_IP, 64 /* IPT_SO_SET_REPLACE */)},
	{"K31", "SO_MARK", option(unix.SOL_SOCKET, unix.SO_MARK)},
	{"K24", "IP_TRANSPARENT", option(unix.IPPROTO_IP, unix.IP_TRANSPARENT)},
	{"K55", "TCP_REPAIR", option(unix.IPPROTO_TCP, unix.TCP_REPAIR)},
	{"K31", "a priority above all", option(unix.SOL_SOCKET, unix.SO_PRIORITY)},
	{"K36", "clone3", asks(unix.SYS_CLONE3, 0, 0)},
	{"K36", "a mount namespace", asks(unix.SYS_UNSHARE, unix.CLONE_NEWNS)},
	{"K36", "a cgroup namespace", asks(unix.SYS_UNSHARE, unix.CLONE_NEWCGROUP)},
	{"K37", "another namespace by a descriptor", asks(unix.SYS_SETNS, ^uintptr(0), 0)},
	{"K40", "another process's descriptor", asks(unix.SYS_PIDFD_GETFD, ^uintptr(0), 0, 0)},
	{"K48", "kcmp", asks(unix.SYS_KCMP, ^uintptr(0), ^uintptr(0), 0, 0, 0)},
	{"K48", "perf_event_open", asks(unix.SYS_PERF_EVENT_OPEN, 0, 0, 0, ^uintptr(0), 0)},
	{"K48", "userfaultfd", asks(unix.SYS_USERFAULTFD, ^uintptr(0))},
	{"K48", "fanotify", asks(unix.SYS_FANOTIFY_INIT, ^uintptr(0), 0)},
	{"K48", "the memory of another by a move of pages", asks(unix.SYS_MIGRATE_PAGES, 0, 0, 0, 0)},
	{"K49", "keyctl", asks(unix.SYS_KEYCTL, ^uintptr(0), 0)},
	{"K49", "add_key", asks(unix.SYS_ADD_KEY, 0, 0, 0, 0, 0)},
	{"K49", "request_key", asks(unix.SYS_REQUEST_KEY, 0, 0, 0, 0)},
	{"K42", "a file by its handle", asks(unix.SYS_OPEN_BY_HANDLE_AT, ^uintptr(0), 0, 0)},
	{"K42", "a mount", asks(unix.SYS_MOUNT, 0, 0, 0, 0, 0)},
	{"K42", "a tree of mounts", asks(unix.SYS_OPEN_TREE, ^uintptr(0), 0, 0)},
	{"K42", "another root", asks(unix.SYS_CHROOT, 0)},
	{"K51", "bpf", asks(unix.SYS_BPF, ^uintptr(0), 0, 0)},
	{"K15", "the host's name", asks(unix.SYS_SETHOSTNAME, 0, ^uintptr(0))},
	{"R18", "the clock", asks(unix.SYS_CLOCK_SETTIME, ^uintptr(0), 0)},
	{"X10", "the kernel's log", asks(unix.SYS_SYSLOG, ^uintptr(0), 0, 0)},
	{"X13", "less to fear of the OOM killer", opens("/proc/1/oom_score_adj", unix.O_WRONLY)},
	{"K48", "the first process's descriptors", opens("/proc/1/fd", unix.O_RDONLY)},
	{"K15", "where core files go", opens("/proc/sys/kernel/core_pattern", unix.O_WRONLY)},
	{"K15", "what the kernel keeps in memory", opens("/proc/sys/vm/drop_caches", unix.O_WRONLY)},
}

func init() {
	probes["surface"] = func([]string) error {
		runtime.LockOSThread() // what gets through unshare ends with the thread
		said := make(map[string]string)
		for _, s := range surface {
			if err := s.do(); err != nil {
				said[s.name] = err.Error()
			}
		}
		text, err := json.Marshal(said)
		fmt.Println(string(text))
		return err
	}
}

// asks makes a system call and says how it was refused; past the checks is past it.
func asks(number uintptr, arguments ...uintptr) func() error {
	return func() error {
		var a [6]uintptr
		copy(a[:], arguments)
		_, _, errno := unix.Syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5])
		return checked(errno)
	}
}

// option sets an option of a TCP socket.
func option(level, name int) func() error {
	return func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		err = unix.SetsockoptInt(fd, level, name, 7)
		if level == unix.IPPROTO_TCP || level == unix.IPPROTO_IP && name == unix.IP_TRANSPARENT {
			err = unix.SetsockoptInt(fd, level, name, 1)
		}
		return checked(err)
	}
}

func opens(path string, flags int) func() error {
	return func() error {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
		if err == nil {
			unix.Close(fd)
		}
		return checked(err)
	}
}

// checked is nil but where the kernel or the filter said no: other errors are about the
// arguments.
func checked(err error) error {
	for _, no := range []syscall.Errno{unix.EPERM, unix.EACCES, unix.ENOSYS, unix.EROFS, unix.ENOENT, unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT} {
		if errors.Is(err, no) {
			return no
		}
	}
	return nil
}

// TestAttackSurface asks the kernel for what is of use against others, from inside and
// from outside: once each, in one process.
func TestAttackSurface(t *testing.T) {
	h := newHost(t)
	parse := func(out string) map[string]string {
		t.Helper()
		var said map[string]string
		if err := json.Unmarshal([]byte(out), &said); err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		return said
	}
	cmd := exec.Command(h.probe)
	cmd.Env = []string{"BOTTLED_PROBE=surface", noSleep}
	out, err := cmd.Output()
	must(t, err)
	free := parse(string(out))
	s := h.spec(h.probe)
	s.Env = append(slices.Clone(s.Env), "BOTTLED_PROBE=surface", noSleep)
	text, _ := h.run(t, s)
	held := parse(text)
	for _, row := range surface {
		verdict := func(said map[string]string) attack.Probe {
			return func(*testing.T) error {
				if why, no := said[row.name]; no {
					return errors.New(strings.TrimSpace(why))
				}
				return nil
			}
		}
		attack.Stopped(t, row.id, row.name, verdict(free), verdict(held))
	}
}
