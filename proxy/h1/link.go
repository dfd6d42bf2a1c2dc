package h1

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// link is the connection below TLS. While it is trying, reading does not wait: where
// there is nothing, the error is [os.ErrDeadlineExceeded], which crypto/tls takes for
// passing.
type link struct {
	net.Conn
	raw    syscall.RawConn // nil: cannot be tried
	trying bool
}

func newLink(c net.Conn) *link {
	l := &link{Conn: c}
	if s, ok := c.(syscall.Conn); ok {
		l.raw, _ = s.SyscallConn() // nil with an error: cannot be tried
	}
	return l
}

func (l *link) Read(p []byte) (int, error) {
	if !l.trying {
		return l.Conn.Read(p)
	}
	n, err := 0, error(nil)
	if e := l.raw.Read(func(fd uintptr) bool { n, err = syscall.Read(int(fd), p); return true }); e != nil {
		return 0, e
	}
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return 0, os.ErrDeadlineExceeded
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// quiet reports whether c, which is l or TLS over l, is open and has nothing to read.
func (l *link) quiet(c net.Conn) bool {
	if l.raw == nil {
		return false
	}
	l.trying = true
	defer func() { l.trying = false }()
	var one [1]byte
	n, err := c.Read(one[:])
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}
