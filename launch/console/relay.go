package console

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// Once the context is done, the relay ends when the bottle wrote nothing for this long.
const drain = 50 * time.Millisecond

// Relay connects the user's terminal, of which in and out are the two sides, with
// the master of a bottle's, until nobody in the bottle has that open, or ctx is
// done: cancel it when the command has ended. It puts in into raw mode meanwhile
// and restores it before it returns; what the user types after that is not read. It
// closes neither file.
func Relay(ctx context.Context, master, in, out *os.File) (err error) {
	fd := int(in.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, term.Restore(fd, before)) }()

	sizes := make(chan os.Signal, 1)
	signal.Notify(sizes, unix.SIGWINCH)
	defer signal.Stop(sizes)
	stop, wake, err := os.Pipe()
	if err != nil {
		return err
	}
	defer stop.Close()
	typed := make(chan struct{})
	defer func() { wake.Close(); <-typed }()
	go func() { defer close(typed); copyInput(master, fd, int(stop.Fd())) }()

	over := make(chan struct{})
	defer close(over)
	copySize(master, fd)
	go func() {
		for {
			select {
			case <-sizes:
				copySize(master, fd)
			case <-ctx.Done():
				_ = master.SetDeadline(time.Now().Add(drain))
				return
			case <-over:
				return
			}
		}
	}()
	_, err = io.Copy(out, master)
	// EIO is how a master says that the last slave was closed.
	if errors.Is(err, unix.EIO) || errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// copyInput passes on what is typed until stop is readable or the master is gone.
func copyInput(master *os.File, in, stop int) {
	buf := make([]byte, 4096)
	for {
		fds := []unix.PollFd{{Fd: int32(in), Events: unix.POLLIN}, {Fd: int32(stop), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		if fds[1].Revents != 0 {
			return
		}
		if fds[0].Revents == 0 {
			continue
		}
		n, err := unix.Read(in, buf)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil || n == 0 {
			return
		}
		if _, err := master.Write(buf[:n]); err != nil {
			return
		}
	}
}

// copySize gives the bottle's terminal the size of the user's; the kernel tells
// the foreground process group there.
func copySize(master *os.File, from int) {
	size, err := unix.IoctlGetWinsize(from, unix.TIOCGWINSZ)
	if err != nil {
		return // a terminal without a size
	}
	raw, err := master.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, size) })
}
