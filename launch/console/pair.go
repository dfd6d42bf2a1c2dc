package console

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Pair is the way the master comes from the bottle to the client.
type Pair struct {
	client *os.File
	Bottle *os.File // what Start and Exec get as console; to be closed when they have it
}

// NewPair makes a Pair.
func NewPair() (*Pair, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil { // for the runtime's poller
		return nil, errors.Join(err, unix.Close(fds[0]), unix.Close(fds[1]))
	}
	return &Pair{os.NewFile(uintptr(fds[0]), "console"), os.NewFile(uintptr(fds[1]), "console of the bottle")}, nil
}

// Close closes both ends. Closing twice is no error.
func (p *Pair) Close() error {
	err := errors.Join(p.client.Close(), p.Bottle.Close())
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// ErrNoTerminal is returned when the bottle ended, or the time was up, before it
// had a terminal.
var ErrNoTerminal = errors.New("the bottle sent no terminal")

// Receive waits for the master of the bottle's terminal, until the deadline if
// it is not zero. The other end must be closed here first, or the end of the bottle does not show.
func (p *Pair) Receive(deadline time.Time) (*os.File, error) {
	if err := p.client.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	raw, err := p.client.SyscallConn()
	if err != nil {
		return nil, err
	}
	// Room for one descriptor: more can not get in, the kernel closes the rest.
	control := make([]byte, unix.CmsgSpace(4))
	var n, controls int
	var received error
	err = raw.Read(func(fd uintptr) bool {
		n, controls, _, _, received = unix.Recvmsg(int(fd), make([]byte, 1), control, unix.MSG_CMSG_CLOEXEC)
		return !errors.Is(received, unix.EAGAIN) && !errors.Is(received, unix.EINTR)
	})
	if err = errors.Join(err, received); err != nil || n == 0 {
		return nil, errors.Join(ErrNoTerminal, err)
	}
	fd, err := descriptor(control[:controls])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoTerminal, err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "terminal of the bottle"), nil
}

func descriptor(control []byte) (int, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return -1, err
	}
	if len(messages) != 1 {
		return -1, fmt.Errorf("%d control messages, not 1", len(messages))
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return -1, err
	}
	if len(fds) != 1 {
		return -1, fmt.Errorf("%d descriptors, not 1", len(fds))
	}
	return fds[0], nil
}
