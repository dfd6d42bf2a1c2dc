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

	try func(fd uintptr) bool // reads into p
	p   []byte
	n   int
	err error
}

func newLink(c net.Conn) *link {
	l := &link{Conn: c}
	if s, ok := c.(syscall.Conn); ok {
		l.raw, _ = s.SyscallConn() // nil with an error: cannot be tried
	}
	l.try = func(fd uintptr) bool { l.n, l.err = syscall.Read(int(fd), l.p); return true }
	return l
}

func (l *link) Read(p []byte) (int, error) {
	if !l.trying {
		return l.Conn.Read(p)
	}
	l.p = p
	err := l.raw.Read(l.try)
	l.p = nil
	switch {
	case err != nil:
		return 0, err
	case errors.Is(l.err, syscall.EAGAIN):
		return 0, os.ErrDeadlineExceeded
	case l.err != nil:
		return 0, l.err
	case l.n == 0:
		return 0, io.EOF
	}
	return l.n, nil
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
