package h1

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/textproto"
	"time"
)

// errStale is that of a kept connection which ended before it answered anything.
var errStale = errors.New("the upstream closed a kept connection")

// conn is one connection to an upstream. One request at a time owns it.
type conn struct {
	net.Conn // TLS over link, or link
	link     *link
	left     int64 // bytes that may still be read
	in       *bufio.Reader
	out      *bufio.Writer
	used     bool
	key      string
	expiry   *time.Timer // while it is kept
}

func newConn(key string, l *link, c net.Conn) *conn {
	k := &conn{Conn: c, link: l, key: key}
	k.in, k.out = bufio.NewReaderSize(bounded{k}, 8<<10), bufio.NewWriter(c)
	return k
}

// bounded reads no more than the conn may.
type bounded struct{ *conn }

func (b bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("the response's header is too large")
	}
	n, err := b.Conn.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// ask sends r and returns the head of its final response. The body is read from the
// connection afterwards, which stays open for that.
func (c *conn) ask(r *http.Request, o *Options, interim Interim) (*http.Response, error) {
	if err := c.SetDeadline(time.Now().Add(o.ResponseTimeout)); err != nil {
		return nil, c.stale(err)
	}
	if err := errors.Join(r.Write(c.out), c.out.Flush()); err != nil {
		return nil, c.stale(err)
	}
	c.left = o.HeaderBytes
	if _, err := c.in.Peek(1); err != nil {
		return nil, c.stale(err)
	}
	resp, err := http.ReadResponse(c.in, r)
	for err == nil && resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols {
		if err = interim(resp.StatusCode, textproto.MIMEHeader(resp.Header)); err == nil {
			resp, err = http.ReadResponse(c.in, r)
		}
	}
	if err != nil {
		return nil, err
	}
	c.left = math.MaxInt64
	return resp, c.SetDeadline(time.Time{})
}

// stale marks the error of a connection that was used before: the upstream may have
// closed it at the same moment.
func (c *conn) stale(err error) error {
	var timeout net.Error
	if !c.used || errors.As(err, &timeout) && timeout.Timeout() {
		return err
	}
	return errors.Join(errStale, err)
}

// body is a response's, and gives the connection back at its end. It is used by one
// goroutine.
type body struct {
	io.ReadCloser
	pool *Pool
	conn *conn
	stop func() bool // the watch on the request's context
	keep bool        // the connection may be used again after the body's end
	done bool
}

func newBody(ctx context.Context, p *Pool, c *conn, resp *http.Response, stop func() bool) *body {
	return &body{ReadCloser: resp.Body, pool: p, conn: c, stop: stop, keep: !resp.Close && resp.StatusCode >= 200}
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.end(err == io.EOF)
	}
	return n, err
}

// Close does not read what is left: the connection ends with the body.
func (b *body) Close() error {
	b.end(false)
	return nil
}

func (b *body) end(whole bool) {
	if b.done {
		return
	}
	b.done = true
	if b.stop() && whole && b.keep && b.conn.in.Buffered() == 0 {
		b.pool.put(b.conn)
		return
	}
	b.conn.link.Close()
}
