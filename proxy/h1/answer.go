package h1

import (
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"time"
)

var errResponse = errors.New("the upstream's response is malformed")

// parseResponse reads the head of a response (RFC 9112 section 4). Its Body says where
// the body ends, and is not to be read: see [newBody].
func parseResponse(r *http.Request, head string) (*http.Response, error) {
	line, rest, err := cutLine(head, false)
	if err != nil {
		return nil, err
	}
	version, status, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(status, " ")
	resp := &http.Response{Status: status, Proto: version, ProtoMajor: 1, Request: r, Body: http.NoBody}
	switch version {
	case "HTTP/1.1":
		resp.ProtoMinor = 1
	case "HTTP/1.0":
	default:
		return nil, errResponse
	}
	n, err := strconv.ParseUint(code, 10, 16)
	if err != nil || len(code) != 3 || n < 100 {
		return nil, errResponse
	}
	resp.StatusCode = int(n)
	if resp.Header, err = parseFields(rest, false); err != nil {
		return nil, err
	}
	resp.Close = hasToken(resp.Header["Connection"], "close") ||
		resp.ProtoMinor == 0 && !hasToken(resp.Header["Connection"], "keep-alive")
	return resp, frameResponse(resp)
}

// frameResponse finds out where the body ends (RFC 9112 section 6.3): after ContentLength
// bytes, or where that is -1 with the last chunk, or with the connection.
func frameResponse(resp *http.Response) error {
	length, stated, err := lengthOf(resp.Header, false)
	if err != nil {
		return err
	}
	if list := resp.Header["Content-Length"]; len(list) > 1 {
		resp.Header["Content-Length"] = list[:1]
	}
	coding := resp.Header["Transfer-Encoding"]
	delete(resp.Header, "Transfer-Encoding")
	resp.ContentLength = -1
	if stated {
		resp.ContentLength = length
	}
	switch {
	case resp.Request.Method == http.MethodHead:
		return nil
	case resp.StatusCode < 200, resp.StatusCode == http.StatusNoContent, resp.StatusCode == http.StatusNotModified:
		resp.ContentLength = 0
		return nil
	case len(coding) > 0:
		if !isChunked(coding) || resp.ProtoMinor == 0 {
			return errResponse
		}
		delete(resp.Header, "Content-Length")
		resp.ContentLength, resp.TransferEncoding = -1, coding
		var ok bool
		if resp.Trailer, ok = announced(resp.Header); !ok {
			return errResponse
		}
	case !stated:
		resp.Close = true
	}
	return nil
}

// body is a response's, and gives the connection back at its end. It is used by one
// goroutine.
type body struct {
	pool   *Pool
	conn   *conn
	resp   *http.Response
	up     *upload
	src    io.Reader   // chunks; nil: left says where the body ends
	left   int64       // -1: with the connection
	stop   func() bool // the watch on the request's context
	err    error       // what every further Read returns
	closed bool
}

// newBody makes resp's body readable.
func newBody(p *Pool, c *conn, resp *http.Response, up *upload, stop func() bool) error {
	b := &body{pool: p, conn: c, resp: resp, up: up, stop: stop, left: resp.ContentLength}
	if resp.Request.Method == http.MethodHead {
		b.left = 0
	}
	if len(resp.TransferEncoding) > 0 {
		b.src = httputil.NewChunkedReader(c.in)
	}
	resp.Body = b
	if up != nil || b.src != nil || b.left < 0 || b.left > int64(c.in.Buffered()) {
		if err := c.unlimitBody(); err != nil {
			return err
		}
	}
	if b.src == nil && b.left == 0 {
		b.err = io.EOF
		b.end(true)
	}
	return nil
}

// unlimitBody takes away the deadline of the head, whoever set it.
func (c *conn) unlimitBody() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.setDeadline(time.Time{})
}

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	n, err := b.read(p)
	if err != nil {
		if err != io.EOF {
			err = b.up.cause(err)
		}
		b.err = err
		b.end(err == io.EOF)
	}
	return n, err
}

// Ready reports whether there is something to read that was received already.
func (b *body) Ready() bool { return b.err == nil && b.conn.in.Buffered() > 0 }

func (b *body) read(p []byte) (int, error) {
	switch {
	case b.src != nil:
		n, err := b.src.Read(p)
		if err == io.EOF {
			err = b.trailer()
		}
		return n, err
	case b.left < 0:
		return b.conn.in.Read(p)
	}
	n, err := b.conn.in.Read(p[:min(int64(len(p)), b.left)])
	switch b.left -= int64(n); {
	case b.left == 0:
		return n, io.EOF
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// trailer reads what follows the last chunk. Its fields join those that were announced.
func (b *body) trailer() error {
	text, err := appendHead(nil, b.conn.in, b.pool.HeaderBytes, false)
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	fields, err := parseFields(string(text), false)
	if err != nil {
		return err
	}
	for name, values := range fields {
		if b.resp.Trailer == nil {
			b.resp.Trailer = http.Header{}
		}
		b.resp.Trailer[name] = values
	}
	return io.EOF
}

// Close does not read what is left: the connection ends with the body.
func (b *body) Close() error {
	if b.err == nil {
		b.err = http.ErrBodyReadAfterClose
	}
	b.end(false)
	return nil
}

// end gives the connection back where the whole message has passed both ways, or ends it.
func (b *body) end(whole bool) {
	if b.closed {
		return
	}
	b.closed = true
	if b.stop() && whole && !b.resp.Close && b.resp.StatusCode >= 200 && b.conn.in.Buffered() == 0 && b.up.complete() {
		b.pool.put(b.conn)
		return
	}
	b.conn.link.Close()
}
