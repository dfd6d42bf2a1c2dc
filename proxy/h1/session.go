package h1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// session is one connection of a client. One goroutine serves it; what others touch is
// under a mutex.
type session struct {
	srv    *Server
	conn   net.Conn
	cancel context.CancelFunc
	base   *http.Request // what all requests of the connection have
	src    source
	in     *bufio.Reader
	out    *bufio.Writer
	head   []byte // of the latest request; kept for the next

	mu       sync.Mutex
	active   bool          // a request is under way
	seen     bool          // look found it so before
	watched  chan struct{} // closed when the goroutine that waits for the client ends; nil: there is none
	body     *incoming     // of the request; nil: it has none
	deadline time.Time     // of reads; zero: none
	retired  bool          // no further request

	writing sync.Mutex // what is written before a final response
	begun   bool       // the final response
}

func newSession(ctx context.Context, cancel context.CancelFunc, s *Server, c net.Conn) *session {
	n := &session{srv: s, conn: c, cancel: cancel, src: source{Reader: c}, out: bufio.NewWriterSize(c, 4<<10)}
	n.in = bufio.NewReaderSize(&n.src, 4<<10)
	n.base = (&http.Request{ProtoMajor: 1, Body: http.NoBody, RemoteAddr: c.RemoteAddr().String()}).WithContext(ctx)
	return n
}

// maxDrain bounds what is read and dropped of a body that its Handler left, so that the
// connection can go on, in bytes.
const maxDrain = 256 << 10

func (n *session) serve() (hijacked bool) {
	for first := true; ; first = false {
		r, err := n.next(first)
		var why *Malformed
		if errors.As(err, &why) {
			n.refuse(why)
			return false
		}
		if err != nil {
			n.conn.Close()
			return false
		}
		w := &response{n: n, r: r, header: make(http.Header, 8), closing: r.Close}
		n.begin()
		whole := n.handle(w, r) && (w.hijacked || w.finish())
		if w.hijacked {
			return true
		}
		if !whole {
			n.abort(w.begun && w.endless())
			return false
		}
		if !n.settle(w) {
			return false
		}
	}
}

// handle reports whether the Handler came to its end.
func (n *session) handle(w http.ResponseWriter, r *http.Request) (ended bool) {
	defer func() { _ = ended || recover() != nil }()
	n.srv.Handler.ServeHTTP(w, r)
	return true
}

// settle ends a request that was answered, and closes the connection unless it may go on.
func (n *session) settle(w *response) bool {
	if n.body != nil {
		n.body.release(n.interrupt)
	}
	on := n.end() && !w.closing
	switch {
	case n.body == nil || n.body.whole.Load():
	case !on || n.limit(n.srv.HeaderTimeout) != nil || !n.body.drain(maxDrain):
		n.linger()
		return false
	}
	if !on {
		n.conn.Close()
	}
	return on
}

// next waits for a request and reads its head.
func (n *session) next(first bool) (*http.Request, error) {
	n.body, n.begun, n.head = nil, false, forNext(n.head)
	if n.in.Buffered() == 0 {
		wait := n.srv.IdleTimeout
		if first {
			wait = n.srv.HeaderTimeout
		}
		if err := n.allow(wait); err != nil {
			return nil, err
		}
		if _, err := n.in.Peek(1); err != nil {
			return nil, err
		}
	}
	if have, err := n.in.Peek(n.in.Buffered()); err != nil || !bytes.Contains(have, []byte("\r\n\r\n")) {
		if err := n.limit(n.srv.HeaderTimeout); err != nil {
			return nil, err
		}
	}
	var err error
	for range 2 { // one empty line may come before a request (RFC 9112 section 2.2)
		n.head, err = appendHead(n.head[:0], n.in, n.srv.HeaderBytes, true)
		switch err {
		case nil:
		case errHeadTooLarge:
			return nil, &Malformed{http.StatusRequestHeaderFieldsTooLarge, "the head is over " + strconv.FormatInt(n.srv.HeaderBytes, 10) + " bytes"}
		case errBareLF:
			return nil, malformed(err.Error())
		default:
			return nil, err
		}
		if len(n.head) > 0 {
			break
		}
	}
	r, err := parseRequest(n.base, string(n.head))
	if err != nil || r.ContentLength == 0 {
		return r, err
	}
	n.body = newIncoming(n, r)
	r.Body = n.body
	if n.body.Ready() {
		return r, nil
	}
	return r, n.unlimit()
}

// allow lets reads wait for at least d, and at most a quarter more: most of the time
// the deadline that is set will do.
func (n *session) allow(d time.Duration) error {
	if time.Until(n.deadline) >= d {
		return nil
	}
	return n.limit(d + d/4)
}

// limit sets the deadline of reads.
func (n *session) limit(d time.Duration) error { return n.setDeadline(time.Now().Add(d)) }

func (n *session) unlimit() error {
	if n.deadline.IsZero() {
		return nil
	}
	return n.setDeadline(time.Time{})
}

func (n *session) setDeadline(t time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.retired && !n.active {
		return net.ErrClosed
	}
	n.deadline = t
	return n.conn.SetReadDeadline(t)
}

// interrupt makes a read that is under way return.
func (n *session) interrupt() { n.conn.SetReadDeadline(past) }

// retire ends the session after the request that is under way, or now.
func (n *session) retire() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.retired = true; !n.active {
		n.interrupt()
	}
}

// proceed tells the client to send its body, unless it was answered already.
func (n *session) proceed() {
	n.writing.Lock()
	defer n.writing.Unlock()
	if !n.begun {
		_, _ = n.out.WriteString("HTTP/1.1 100 Continue\r\n\r\n")
		_ = n.out.Flush() // the body's read shows the error
	}
}

// refuse answers what is not a request, and closes the connection.
func (n *session) refuse(why *Malformed) {
	r := new(http.Request)
	*r = *n.base
	r.ProtoMinor = 1
	w := &response{n: n, r: r, header: http.Header{}, closing: true}
	n.srv.Refuse(w, r.Context(), why)
	if w.finish() {
		n.linger()
		return
	}
	n.abort(false)
}

// linger closes the connection so that the client can read the answer to what it is
// still sending: a reset would take that from it.
func (n *session) linger() {
	const wait, most = 500 * time.Millisecond, 1 << 20
	if half, ok := n.conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		n.conn.SetReadDeadline(time.Now().Add(wait))
		_, _ = io.CopyN(io.Discard, n.conn, most)
	}
	n.conn.Close()
}

// abort closes the connection so that no part of a response looks like all of it: TLS is
// not ended, and where the end of the connection is that of the response, it is reset.
func (n *session) abort(reset bool) {
	if l, ok := n.conn.(interface{ SetLinger(int) error }); ok && reset {
		_ = l.SetLinger(0)
	}
	if t, ok := n.conn.(interface{ NetConn() net.Conn }); ok {
		t.NetConn().Close()
	}
	n.conn.Close()
	n.mu.Lock()
	watched := n.watched
	n.mu.Unlock()
	if watched != nil {
		<-watched
	}
	if n.body != nil {
		n.body.release(func() {}) // its read fails, or did
	}
}
