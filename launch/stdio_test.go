package launch

import (
	"fmt"
	"net"
	"os"
	"testing"

	"bottled/attack"

	"golang.org/x/sys/unix"
)

func TestStdioKinds(t *testing.T) {
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	defer w.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	socket, other := os.NewFile(uintptr(pair[0]), "a"), os.NewFile(uintptr(pair[1]), "b")
	defer socket.Close()
	defer other.Close()
	_, tty := newPty(t)
	null, err := os.Open(os.DevNull)
	must(t, err)
	defer null.Close()
	file, err := os.Open("/etc/passwd")
	must(t, err)
	defer file.Close()
	for _, f := range []*os.File{r, w, socket, tty, null, file, nil} {
		if err := checkStdio([3]*os.File{nil, f, nil}); err != nil {
			t.Error(err)
		}
	}
	location, err := unix.Open("/etc/passwd", unix.O_PATH|unix.O_CLOEXEC, 0)
	must(t, err)
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	must(t, err)
	for name, fd := range map[string]int{"O_PATH": location, "eventfd": event} {
		f := os.NewFile(uintptr(fd), name)
		if err := checkStdio([3]*os.File{f}); err == nil {
			t.Errorf("%s went through", name)
		}
		f.Close()
	}
}

// TestAttackStdio hands the bottle what its client has: a connected socket of the
// host, a directory. The control hands the same to a process outside.
func TestAttackStdio(t *testing.T) {
	h := newHost(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	defer c.Close()
	connected, err := c.(*net.TCPConn).File()
	must(t, err)
	defer connected.Close()
	root, err := os.Open("/")
	must(t, err)
	defer root.Close()
	for _, a := range []struct {
		id, name, script string
		file             *os.File
	}{
		{"K39", "a connected socket as standard input", "echo out >&0", connected},
		{"K42", "the host's root directory as standard input", "ls /proc/self/fd/0/etc >/dev/null", root},
	} {
		attack.Stopped(t, a.id, a.name,
			func(*testing.T) error {
				p, err := os.StartProcess("/bin/sh", []string{"sh", "-c", a.script}, &os.ProcAttr{Files: []*os.File{a.file, nil, nil}})
				if err != nil {
					return err
				}
				st, err := p.Wait()
				if err == nil && !st.Success() {
					err = fmt.Errorf("%v", st)
				}
				return err
			},
			func(*testing.T) error {
				p, err := startBottle(t.Context(), h.spec("sh", "-c", a.script), h.netns, h.cgroup, [3]*os.File{a.file}, nil)
				if err != nil {
					return err
				}
				defer p.Close()
				_, err = p.Wait()
				return err
			})
	}
}
