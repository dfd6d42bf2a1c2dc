package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Kinds of failure to talk to the daemon at all.
var (
	ErrNoDaemon = errors.New("no daemon listens")
	ErrNoAccess = errors.New("not allowed to connect to the daemon")
	ErrLost     = errors.New("the connection to the daemon was lost")
)

// A dialError is told by its text to a person and by its kind to a program.
type dialError struct {
	kind error
	text string
}

func (e *dialError) Error() string { return e.text }
func (e *dialError) Unwrap() error { return e.kind }

func (c *Client) dial(ctx context.Context) (*net.UnixConn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", c.socket)
	switch {
	case err == nil:
		return conn.(*net.UnixConn), nil
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ECONNREFUSED):
		return nil, &dialError{ErrNoDaemon, fmt.Sprintf("no daemon listens at %s; start it with `sudo systemctl start bottled`, or by hand with `sudo bottled`", c.socket)}
	case errors.Is(err, unix.EACCES):
		return nil, &dialError{ErrNoAccess, fmt.Sprintf("this user may not connect to %s; "+
			"ask for membership in group \"bottled\" (`sudo usermod -aG bottled $USER`), then log in again", c.socket)}
	}
	return nil, fmt.Errorf("connecting to the daemon: %w", err)
}

// rightsConn sends files along with the first byte that is written (unix(7),
// SCM_RIGHTS).
type rightsConn struct {
	*net.UnixConn
	files []*os.File // nil once sent
}

func (c *rightsConn) Write(b []byte) (int, error) {
	if len(c.files) == 0 || len(b) == 0 {
		return c.UnixConn.Write(b)
	}
	fds := make([]int, len(c.files))
	for i, f := range c.files {
		fds[i] = int(f.Fd())
	}
	n, _, err := c.WriteMsgUnix(b, unix.UnixRights(fds...), nil)
	if err != nil {
		return n, err
	}
	c.files = nil
	if n == len(b) {
		return n, nil
	}
	m, err := c.UnixConn.Write(b[n:])
	return n + m, err
}
