package console

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openPty returns a pseudo terminal: master non-blocking for deadlines.
func openPty(t *testing.T) (master, slave *os.File) {
	t.Helper()
	m, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(m, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	s, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(m), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		t.Fatal(errno)
	}
	master, slave = os.NewFile(uintptr(m), "master"), os.NewFile(s, "slave")
	t.Cleanup(func() { master.Close(); slave.Close() })
	return master, slave
}

func TestRelayRestoresAndLeavesInput(t *testing.T) {
	user, tty := openPty(t)
	master, slave := openPty(t)
	before, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Relay(ctx, master, tty, tty) }()

	if _, err := slave.WriteString("from the bottle"); err != nil {
		t.Fatal(err)
	}
	expect(t, user, "from the bottle")
	raw, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil || raw.Lflag&(unix.ISIG|unix.ICANON|unix.ECHO) != 0 {
		t.Errorf("the user's terminal is not raw: %x %v", raw.Lflag, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	after, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil || *after != *before {
		t.Errorf("the terminal was not restored: %+v, before %+v (%v)", after, before, err)
	}
	// What is typed now belongs to whoever reads next.
	if _, err := user.WriteString("for the shell\n"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	n, err := tty.Read(buf)
	if err != nil || string(buf[:n]) != "for the shell\n" {
		t.Errorf("the shell read %q, %v", buf[:n], err)
	}
}

func TestRelayEndsWithTheLastSlave(t *testing.T) {
	_, tty := openPty(t)
	master, slave := openPty(t)
	done := make(chan error, 1)
	go func() { done <- Relay(t.Context(), master, tty, tty) }()
	slave.Close()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the relay did not end")
	}
}

func TestRelayRefusesWhatIsNoTerminal(t *testing.T) {
	master, _ := openPty(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if err := Relay(t.Context(), master, null, null); !errors.Is(err, unix.ENOTTY) {
		t.Errorf("got %v", err)
	}
}

func TestReceive(t *testing.T) {
	for _, c := range []struct {
		name string
		send func(fd int) error
		want error
	}{
		{"the bottle ends", func(int) error { return nil }, ErrNoTerminal},
		{"a byte without a descriptor", func(fd int) error { return unix.Sendmsg(fd, []byte{0}, nil, nil, 0) }, ErrNoTerminal},
		{"a descriptor", func(fd int) error { return unix.Sendmsg(fd, []byte{0}, unix.UnixRights(0), nil, 0) }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := NewPair()
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if err := c.send(int(p.Bottle.Fd())); err != nil {
				t.Fatal(err)
			}
			p.Bottle.Close()
			f, err := p.Receive(time.Now().Add(5 * time.Second))
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if f != nil {
				f.Close()
			}
		})
	}
	p, err := NewPair()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Receive(time.Now().Add(10 * time.Millisecond)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
}

func expect(t *testing.T, r *os.File, want string) {
	t.Helper()
	if err := r.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for !bytes.Contains(got.Bytes(), []byte(want)) {
		if _, err := io.CopyN(&got, r, 1); err != nil {
			t.Fatalf("read %q, want %q: %v", got.String(), want, err)
		}
	}
}
