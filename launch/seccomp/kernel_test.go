package seccomp

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestMain runs the calls of this file in a process of their own: a filter can
// not be taken off again.
func TestMain(m *testing.M) {
	if mode := os.Getenv("BOTTLED_SECCOMP_CHILD"); mode != "" {
		os.Exit(child(mode))
	}
	os.Exit(m.Run())
}

// A try is one system call that changes nothing when it reaches the kernel.
type try struct {
	name string
	want unix.Errno // with the filter
	call func() unix.Errno
}

func raw(nr uintptr, args ...uintptr) func() unix.Errno {
	return func() unix.Errno {
		var a [6]uintptr
		copy(a[:], args)
		r, _, errno := unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
		if errno == 0 && (nr == unix.SYS_SOCKET || nr == unix.SYS_OPENAT) {
			unix.Close(int(r))
		}
		return errno
	}
}

var setidPath = []byte("setid\x00") // static: its address is passed as a number

// refusedTries are the calls that a bottle may not make, one for every rule.
func refusedTries() []try {
	minus := ^uintptr(0)
	var list []try
	// With -1 everywhere the kernel finds a bad pointer, descriptor or flag first.
	for _, c := range append(append(append([]call{}, never...), neverNative...), sandboxMounts...) {
		list = append(list, try{c.name, unix.EPERM, raw(uintptr(c.number), minus, minus, minus, minus, minus, minus)})
	}
	socket := func(name string, family, kind, protocol uintptr, want unix.Errno) {
		list = append(list, try{name, want, raw(unix.SYS_SOCKET, family, kind, protocol)})
	}
	socket("raw ICMP", unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP, unix.EPERM)
	socket("raw IP", unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW, unix.EPERM)
	socket("raw IPv6", unix.AF_INET6, unix.SOCK_RAW, 253, unix.EPERM)
	socket("UDP-Lite", unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE, unix.EPROTONOSUPPORT)
	socket("MPTCP", unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP, unix.EPROTONOSUPPORT)
	socket("AF_PACKET", unix.AF_PACKET, unix.SOCK_DGRAM, 0, unix.EAFNOSUPPORT)
	socket("NETLINK_NETFILTER", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER, unix.EPROTONOSUPPORT)
	file := pointer(&setidPath[0])
	here := uintptr(0xffffff9c) // AT_FDCWD as an int
	list = append(list,
		try{"fchmodat u+s", unix.EPERM, raw(unix.SYS_FCHMODAT, here, file, 0o4755)},
		try{"fchmodat g+s", unix.EPERM, raw(unix.SYS_FCHMODAT, here, file, 0o2755)},
		try{"fchmodat2 u+s", unix.EPERM, raw(unix.SYS_FCHMODAT2, here, file, 0o4755, 0)},
		try{"fchmod u+s", unix.EPERM, func() unix.Errno { return errno(unix.Fchmod(0, 0o4755)) }},
		try{"openat creating u+s", unix.EPERM, raw(unix.SYS_OPENAT, here, file, unix.O_CREAT|unix.O_WRONLY, 0o4755)},
		try{"openat tmpfile u+s", unix.EPERM, func() unix.Errno {
			_, err := unix.Open(".", unix.O_TMPFILE|unix.O_WRONLY, 0o4755)
			return errno(err)
		}},
		try{"mkdirat g+s", unix.EPERM, func() unix.Errno { return errno(unix.Mkdirat(unix.AT_FDCWD, "setid-dir", 0o2755)) }},
		try{"mknodat u+s", unix.EPERM, func() unix.Errno { return errno(unix.Mknodat(unix.AT_FDCWD, "setid-fifo", unix.S_IFIFO|0o4755, 0)) }},
		try{"ioctl TIOCSTI", unix.EPERM, raw(unix.SYS_IOCTL, 0, unix.TIOCSTI, 0)},
		try{"ioctl TIOCSTI, high half set", unix.EPERM, raw(unix.SYS_IOCTL, 0, 1<<32|unix.TIOCSTI, 0)},
		try{"ioctl TIOCLINUX", unix.EPERM, raw(unix.SYS_IOCTL, 0, unix.TIOCLINUX, 0)},
		try{"ioctl TIOCSETD", unix.EPERM, raw(unix.SYS_IOCTL, 0, unix.TIOCSETD, 0)},
		try{"personality READ_IMPLIES_EXEC", unix.EPERM, raw(unix.SYS_PERSONALITY, 0x400000)},
		try{"unshare NEWUSER", unix.EPERM, unshare(unix.CLONE_NEWUSER)},
		try{"unshare NEWNET", unix.EPERM, unshare(unix.CLONE_NEWNET)},
		try{"unshare NEWTIME", unix.EPERM, unshare(unix.CLONE_NEWTIME)},
		try{"clone NEWUSER", unix.EPERM, cloneInto(unix.CLONE_NEWUSER)},
		try{"clone NEWPID", unix.EPERM, cloneInto(unix.CLONE_NEWPID)},
		try{"clone3", unix.ENOSYS, raw(unix.SYS_CLONE3, 0, 0)},
		try{"openat2", unix.ENOSYS, raw(unix.SYS_OPENAT2, here, file, 0, 0)},
	)
	return append(list, nativeTries(file)...)
}

// allowedTries must work with the filter as without.
func allowedTries() []try {
	list := []try{}
	for name, s := range map[string][3]uintptr{
		"TCP": {unix.AF_INET, unix.SOCK_STREAM | unix.SOCK_CLOEXEC, 0}, "TCP over IPv6": {unix.AF_INET6, unix.SOCK_STREAM, unix.IPPROTO_TCP},
		"UDP": {unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDP}, "AF_UNIX": {unix.AF_UNIX, unix.SOCK_SEQPACKET, 0},
		"NETLINK_ROUTE": {unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE},
	} {
		list = append(list, try{name, 0, raw(unix.SYS_SOCKET, s[0], s[1], s[2])})
	}
	return append(list,
		try{"a plain mode", 0, func() unix.Errno { return errno(unix.Fchmod(0, 0o755)) }},
		try{"the sticky bit", 0, func() unix.Errno { return errno(unix.Fchmod(0, 0o1755)) }},
		try{"no randomisation", 0, raw(unix.SYS_PERSONALITY, 0x40000)},
		try{"what personality", 0, raw(unix.SYS_PERSONALITY, 0xffffffff)},
		try{"a child", 0, cloneInto(0)},
		try{"unshare FILES", 0, unshare(unix.CLONE_FILES)},
	)
}

func unshare(flags int) func() unix.Errno {
	return func() unix.Errno {
		result := make(chan error)
		go func() {
			runtime.LockOSThread()
			result <- unix.Unshare(flags)
		}()
		err := errno(<-result)
		if err == unix.EINVAL && flags == unix.CLONE_NEWUSER {
			return 0 // reached: a process with threads can not
		}
		return err
	}
}

func cloneInto(flags uintptr) func() unix.Errno {
	return func() unix.Errno {
		cmd := exec.Command("/bin/true")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
		return errno(cmd.Run())
	}
}

func errno(err error) unix.Errno {
	if err == nil {
		return 0
	}
	for {
		if e, ok := err.(unix.Errno); ok {
			return e
		}
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return unix.EIO
		}
		err = u.Unwrap()
	}
}

// child makes all calls, as root with every capability, with or without the filter.
func child(mode string) int {
	if mode != "open" {
		prog, err := Program(Options{UserNamespaces: mode == "sandbox"})
		if err == nil {
			err = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		}
		if err == nil {
			err = Load(prog)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	results := map[string]unix.Errno{}
	for _, t := range append(refusedTries(), allowedTries()...) {
		results[t.name] = t.call()
	}
	if json.NewEncoder(os.Stdout).Encode(results) != nil {
		return 1
	}
	return 0
}

func runChild(t *testing.T, mode string) map[string]unix.Errno {
	t.Helper()
	dir := t.TempDir()
	in, err := os.Create(filepath.Join(dir, "setid"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Dir, cmd.Stdin, cmd.Stderr = dir, in, os.Stderr
	cmd.Env = []string{"BOTTLED_SECCOMP_CHILD=" + mode}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // vhangup finds no terminal
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", mode, err)
	}
	results := map[string]unix.Errno{}
	if err := json.Unmarshal(out, &results); err != nil {
		t.Fatal(err)
	}
	return results
}

// TestKernel holds the table against the kernel: what is refused is refused to
// root with every capability, so by the filter, and reaches the kernel without it.
func TestKernel(t *testing.T) {
	open, filtered := runChild(t, "open"), runChild(t, "filtered")
	for _, r := range refusedTries() {
		if got := open[r.name]; got == unix.EPERM || got == r.want && r.want != unix.ENOSYS {
			t.Errorf("%s: refused without the filter too (%v): the row shows nothing", r.name, got)
		}
		if got := filtered[r.name]; got != r.want {
			t.Errorf("%s: %v, want %v", r.name, got, r.want)
		}
	}
	for _, a := range allowedTries() {
		if open[a.name] != 0 || filtered[a.name] != 0 {
			t.Errorf("%s: %v without the filter, %v with it, want success", a.name, open[a.name], filtered[a.name])
		}
	}
	sandbox := runChild(t, "sandbox")
	for _, name := range []string{"clone NEWUSER", "clone NEWPID", "unshare NEWUSER", "unshare NEWNET"} {
		if sandbox[name] != 0 {
			t.Errorf("%s with user namespaces: %v", name, sandbox[name])
		}
	}
	if sandbox["AF_PACKET"] != unix.EAFNOSUPPORT || sandbox["setns"] != unix.EPERM {
		t.Errorf("user namespaces opened more than they should: %v, %v", sandbox["AF_PACKET"], sandbox["setns"])
	}
}

func pointer(p *byte) uintptr { return uintptr(unsafe.Pointer(p)) }
