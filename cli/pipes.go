package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// lingering is how long output may pause, once the command has ended, before it
// counts as over: something it left running may hold the pipe.
const lingering = 300 * time.Millisecond

// pipes are a command's three streams. The daemon gets the far ends, and this
// process copies, so that a bottle never holds a file of the host.
type pipes struct {
	near, far [3]*os.File
	ours      [3]*os.File
}

// newPipes makes the pipes. Only the near ends are non-blocking: the flag belongs
// to an end (pipe(7)), and programs do not expect it on their standard streams.
func newPipes(stdin, stdout, stderr *os.File) (*pipes, error) {
	p := &pipes{ours: [3]*os.File{stdin, stdout, stderr}}
	for i := range 3 {
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
			p.close()
			return nil, fmt.Errorf("a pipe for the command: %w", err)
		}
		near, far := fds[0], fds[1]
		if i == 0 {
			near, far = far, near
		}
		p.far[i] = os.NewFile(uintptr(far), "far end")
		err := unix.SetNonblock(near, true)
		p.near[i] = os.NewFile(uintptr(near), "near end")
		if err != nil {
			p.close()
			return nil, fmt.Errorf("a pipe for the command: %w", err)
		}
	}
	return p, nil
}

func (p *pipes) files() []*os.File { return p.far[:] }

func (p *pipes) handedOver() {
	for _, f := range p.far {
		if f != nil {
			f.Close()
		}
	}
}

func (p *pipes) close() {
	p.handedOver()
	for _, f := range p.near {
		if f != nil {
			f.Close()
		}
	}
}

// relay copies until both outputs have ended. Input that nobody reads is left
// where it is: its copying is not waited for.
func (p *pipes) relay(ctx context.Context) error {
	go func() {
		copyInput(p.near[0], p.ours[0])
		p.near[0].Close() // the command's end of file
	}()
	done := make(chan error, 2)
	for i := 1; i < 3; i++ {
		go func() { done <- copyOutput(ctx, p.ours[i], p.near[i]) }()
	}
	return errors.Join(<-done, <-done)
}

// copyInput copies until the end of in, or until the command closes its side. It
// reads only when there is something and somebody to take it, so that what comes
// after is left for the next program.
func copyInput(pipe, in *os.File) {
	raw, err := pipe.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, 64<<10)
	for {
		fds := []unix.PollFd{{Fd: int32(in.Fd()), Events: unix.POLLIN}, {}}
		var n int
		err := raw.Control(func(fd uintptr) {
			fds[1] = unix.PollFd{Fd: int32(fd)} // POLLERR comes when the reader has gone
			n, err = unix.Poll(fds, -1)
		})
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil || n == 0 || fds[1].Revents != 0:
			return
		}
		n, err = in.Read(buf)
		if n > 0 {
			if _, err := pipe.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// copyOutput copies until the end of the pipe, or until nobody reads out. Once ctx has ended it takes a pause
// for the end.
func copyOutput(ctx context.Context, out, pipe *os.File) error {
	var over atomic.Bool
	stop := context.AfterFunc(ctx, func() {
		over.Store(true)
		pipe.SetReadDeadline(time.Now()) // wakes a Read that waits
	})
	defer stop()
	buf := make([]byte, 64<<10)
	for {
		ended := over.Load()
		if ended {
			pipe.SetReadDeadline(time.Now().Add(lingering))
		}
		n, err := pipe.Read(buf)
		if n > 0 {
			_, err := out.Write(buf[:n])
			if errors.Is(err, unix.EPIPE) {
				return pipe.Close() // the command learns as it would have without us
			}
			if err != nil {
				return fmt.Errorf("writing the command's output: %w", err)
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded) && !ended: // only just over
		case errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		default:
			return fmt.Errorf("reading the command's output: %w", err)
		}
	}
}
