package h1

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"sync"
	"time"
)

// errStale is that of a kept connection which ended before it answered anything.
var errStale = errors.New("the upstream closed a kept connection")

// conn is one connection to an upstream. One request at a time owns it.
type conn struct {
	net.Conn // TLS over link, or link
	link     *link
	in       *bufio.Reader
	out      *bufio.Writer
	head     []byte // of the latest response; kept for the next
	used     bool
	key      origin
	expiry   *time.Timer // while it is kept

	mu       sync.Mutex
	deadline time.Time // of reads and writes; zero: none
	answered bool      // the final head has come
}

func newConn(key origin, l *link, c net.Conn) *conn {
	return &conn{Conn: c, link: l, key: key, in: bufio.NewReaderSize(c, 8<<10), out: bufio.NewWriterSize(c, 8<<10)}
}

// ask sends r and returns the head of its final response. Its body is read from the
// connection afterwards. up is the body of r on its way, where that takes a goroutine of
// its own.
func (c *conn) ask(r *http.Request, o *Options, interim Interim) (resp *http.Response, up *upload, err error) {
	c.setAnswered(false)
	c.writeHead(r)
	if ready(r.Body) {
		if err := c.allow(o.ResponseTimeout); err != nil {
			return nil, nil, c.stale(err)
		}
		if err := c.writeBody(r); err != nil {
			return nil, nil, err
		}
		if err := c.out.Flush(); err != nil {
			return nil, nil, c.stale(err)
		}
	} else {
		if err := c.unlimit(); err != nil {
			return nil, nil, c.stale(err)
		}
		up = c.upload(r, o.ResponseTimeout)
	}
	resp, err = c.answer(r, o.HeaderBytes, interim)
	c.setAnswered(true)
	if err != nil {
		return nil, up, up.cause(err)
	}
	return resp, up, nil
}

// answer reads heads until the final one. Together they may have max bytes.
func (c *conn) answer(r *http.Request, max int64, interim Interim) (*http.Response, error) {
	if _, err := c.in.Peek(1); err != nil {
		return nil, c.stale(err)
	}
	for {
		var err error
		if c.head, err = appendHead(c.head[:0], c.in, max, false); err != nil {
			return nil, err
		}
		max -= int64(len(c.head))
		resp, err := parseResponse(r, string(c.head))
		if err != nil || resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
		if err := interim(resp.StatusCode, textproto.MIMEHeader(resp.Header)); err != nil {
			return nil, err
		}
	}
}

// writeHead writes to memory; the error of the connection comes with the flush.
func (c *conn) writeHead(r *http.Request) {
	b := append(append(c.out.AvailableBuffer(), r.Method...), ' ')
	b = append(append(b, r.URL.RequestURI()...), " HTTP/1.1\r\nHost: "...)
	b = appendFields(append(append(b, r.Host...), "\r\n"...), r.Header, ofRequest)
	switch {
	case r.ContentLength < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case r.ContentLength > 0 || r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch:
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), r.ContentLength, 10), "\r\n"...)
	}
	_, _ = c.out.Write(append(b, "\r\n"...))
}

// ofRequest are the fields that writeHead writes itself.
func ofRequest(name string) bool {
	switch name {
	case "Host", "Content-Length", "Transfer-Encoding", "Trailer":
		return true
	}
	return false
}

// allow lets the connection wait for at least d, and at most a quarter more: most of the
// time the deadline that is set will do.
func (c *conn) allow(d time.Duration) error {
	if time.Until(c.deadline) >= d {
		return nil
	}
	return c.setDeadline(time.Now().Add(d + d/4))
}

func (c *conn) unlimit() error {
	if c.deadline.IsZero() {
		return nil
	}
	return c.setDeadline(time.Time{})
}

func (c *conn) setDeadline(t time.Time) error {
	c.deadline = t
	return c.SetDeadline(t)
}

func (c *conn) setAnswered(yes bool) {
	c.mu.Lock()
	c.answered = yes
	c.mu.Unlock()
}

// awaitAnswer lets reads wait for d from now, unless the answer is there.
func (c *conn) awaitAnswer(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.answered {
		_ = c.SetReadDeadline(time.Now().Add(d)) // a closed connection tells its reader
	}
}

// stale marks the error of a connection that was used before: the upstream may have
// closed it at the same moment.
func (c *conn) stale(err error) error {
	if !c.used || isTimeout(err) {
		return err
	}
	return errors.Join(errStale, err)
}
