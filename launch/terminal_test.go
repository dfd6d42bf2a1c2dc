package launch

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"bottled/launch/console"

	"golang.org/x/sys/unix"
)

// user sits at a pseudo terminal and talks to a bottle through console.Relay.
type user struct {
	t      *testing.T
	master *os.File
	screen bytes.Buffer
}

func newPty(t *testing.T) (master, slave *os.File) {
	t.Helper()
	m, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	must(t, err)
	must(t, unix.IoctlSetPointerInt(m, unix.TIOCSPTLCK, 0))
	s, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(m), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		t.Fatal(errno)
	}
	must(t, unix.IoctlSetWinsize(m, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}))
	master, slave = os.NewFile(uintptr(m), "master"), os.NewFile(s, "slave")
	t.Cleanup(func() { master.Close(); slave.Close() })
	return master, slave
}

func (u *user) types(text string) {
	u.t.Helper()
	_, err := u.master.WriteString(text)
	must(u.t, err)
}

// sees waits for text on the screen, and wipes the screen up to it.
func (u *user) sees(text string) {
	u.t.Helper()
	buf := make([]byte, 4096)
	must(u.t, u.master.SetReadDeadline(time.Now().Add(15*time.Second)))
	for {
		if _, after, ok := strings.Cut(u.screen.String(), text); ok {
			u.screen.Reset()
			u.screen.WriteString(after)
			return
		}
		n, err := u.master.Read(buf)
		if err != nil {
			u.t.Fatalf("%v while waiting for %q; the screen: %q", err, text, u.screen.String())
		}
		u.screen.Write(buf[:n])
	}
}

// TestJobControl is a person at a shell in a bottle: Ctrl-Z, bg, fg, Ctrl-C, and
// a window that changes its size.
func TestJobControl(t *testing.T) {
	h := newHost(t)
	s := h.spec("bash", "--norc", "--noprofile", "-i")
	s.Env = append(s.Env, "PS1=ready> ", "TERM=dumb")
	s.Terminal = true
	master, tty := newPty(t)
	u := &user{t: t, master: master}
	pair, err := console.NewPair()
	must(t, err)
	defer pair.Close()
	p, err := startBottle(t.Context(), s, h.netns, h.cgroup, [3]*os.File{}, pair.Bottle)
	must(t, err)
	defer p.Close()
	pair.Bottle.Close()
	bottle, err := pair.Receive(time.Now().Add(5 * time.Second))
	must(t, err)
	defer bottle.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	relayed := make(chan error, 1)
	go func() { relayed <- console.Relay(ctx, bottle, tty, tty) }()

	u.sees("ready> ")
	u.types("tty; test -t 0 && test -t 1 && echo a real one\r")
	u.sees("/dev/pts/0")
	u.sees("a real one")
	u.types("stty size\r")
	u.sees("24 80")
	must(t, unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 132}))
	must(t, unix.Kill(os.Getpid(), unix.SIGWINCH)) // what the kernel sends to the foreground group of a terminal
	for range 50 {
		size, err := unix.IoctlGetWinsize(int(bottle.Fd()), unix.TIOCGWINSZ)
		must(t, err)
		if size.Row == 50 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	u.types("stty size\r")
	u.sees("50 132")
	sleepRuns := func() { // in the foreground, and no more a shell that ignores keys
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			group, err := unix.IoctlGetInt(int(bottle.Fd()), unix.TIOCGPGRP)
			must(t, err)
			if comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", group)); string(comm) == "sleep\n" {
				return
			}
		}
		t.Fatal("sleep is never in the foreground")
	}
	u.types("sleep 1000\r")
	u.sees("sleep 1000")
	sleepRuns()
	u.types("\x1a")
	u.sees("Stopped")
	u.types("bg\r")
	u.sees("sleep 1000 &")
	u.types("jobs\r")
	u.sees("Running")
	u.types("fg\r")
	u.sees("sleep 1000\r")
	sleepRuns()
	u.types("\x03")
	u.sees("ready> ")
	u.types("echo status $?\r")
	u.sees("status 130")
	u.types("exit 3\r")
	if exit, err := p.Wait(); err != nil || exit.Code != 3 {
		t.Errorf("exit %+v, %v", exit, err)
	}
	select {
	case err := <-relayed:
		must(t, err)
	case <-time.After(5 * time.Second):
		t.Error("the relay did not end with the bottle")
	}
}

func TestTerminalOfExec(t *testing.T) {
	h := newHost(t)
	p, err := startBottle(t.Context(), h.spec("sleep", "1000"), h.netns, h.cgroup, [3]*os.File{}, nil)
	must(t, err)
	defer p.Close()
	defer p.Wait()
	defer p.Kill()
	master, tty := newPty(t)
	u := &user{t: t, master: master}
	pair, err := console.NewPair()
	must(t, err)
	defer pair.Close()
	x, err := Exec(t.Context(), p, ExecSpec{UID: testUID, GID: testUID, Argv: []string{"sh", "-c", "tty; ps -o tty= -p $$; exit 4"},
		Env: []string{"PATH=/usr/bin:/bin"}, Terminal: true}, h.cgroup, [3]*os.File{}, pair.Bottle)
	must(t, err)
	defer x.Close()
	pair.Bottle.Close()
	bottle, err := pair.Receive(time.Now().Add(5 * time.Second))
	must(t, err)
	defer bottle.Close()
	must(t, console.Relay(t.Context(), bottle, tty, tty))
	u.sees("/dev/pts/0")
	u.sees("pts/0")
	if exit, err := x.Wait(); err != nil || exit.Code != 4 {
		t.Errorf("exit %+v, %v", exit, err)
	}
}

func TestTerminalNeedsAConsole(t *testing.T) {
	h := newHost(t)
	s := h.spec("true")
	s.Terminal = true
	if _, err := startBottle(t.Context(), s, h.netns, h.cgroup, [3]*os.File{}, nil); err == nil || !strings.Contains(err.Error(), "no console") {
		t.Errorf("got %v", err)
	}
}

// TestUserNamespaces: what a browser's sandbox does works where the manifest
// says so, and only there; the walls are the same.
func TestUserNamespaces(t *testing.T) {
	h := newHost(t)
	if err := h.inside("sandbox")(t); err == nil {
		t.Error("a sandbox could be made without being asked for")
	}
	s := h.spec()
	s.UserNamespaces = true
	if err := h.insideWith(s, "sandbox")(t); err != nil {
		t.Errorf("with user namespaces: %v", err)
	}
	if err := h.insideWith(s, "socket", socketArgs(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)...)(t); err == nil {
		t.Error("a raw socket was made")
	}
}
