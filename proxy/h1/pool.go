package h1

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Options are how a [Pool] works. All of them are required.
type Options struct {
	// Dial opens a connection to "host:port".
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS is copied for each https connection, with the host as ServerName.
	TLS *tls.Config

	HandshakeTimeout time.Duration
	ResponseTimeout  time.Duration // from the request to the end of the response's header
	IdleTimeout      time.Duration // how long a connection is kept
	HeaderBytes      int64         // of a response, its 1xx responses included
	MaxIdle          int           // kept connections, together
	MaxIdlePerHost   int
}

// Interim takes a 1xx response. Its error ends the request.
type Interim func(code int, header textproto.MIMEHeader) error

// Pool keeps connections to upstreams. It is safe for concurrent use.
type Pool struct {
	Options

	mu     sync.Mutex
	kept   map[origin][]*conn // the latest last
	idle   int
	closed bool
}

// origin is what a connection is good for.
type origin struct{ scheme, address string }

// New returns an empty Pool. Nothing has to end it; Close closes what it keeps.
func New(o Options) *Pool { return &Pool{Options: o, kept: map[origin][]*conn{}} }

// Takes reports whether a Pool carries r: it does not upgrade, waits for no 100, and
// sends no trailer.
func Takes(r *http.Request) bool {
	return r.Header["Upgrade"] == nil && r.Header["Expect"] == nil && len(r.Trailer) == 0 && !r.Close && r.Method != http.MethodConnect
}

// RoundTrip sends r, which [Takes] took, and returns its response and the address it
// came from. Reading the body to its end gives the connection back to the Pool, closing
// it earlier closes the connection, and so does the end of r's context.
//
// The response may come before all of r's body was read, and then the body may still be
// read by another goroutine: until the response's body has ended, and until a Read that
// is under way then returns.
func (p *Pool) RoundTrip(r *http.Request, interim Interim) (*http.Response, netip.AddrPort, error) {
	if err := check(r); err != nil {
		return nil, netip.AddrPort{}, err
	}
	for again := true; ; again = false {
		c, err := p.get(r, again)
		if err != nil {
			return nil, netip.AddrPort{}, err
		}
		stop := context.AfterFunc(r.Context(), func() { c.link.Close() })
		resp, up, err := c.ask(r, &p.Options, interim)
		if err == nil {
			err = newBody(p, c, resp, up, stop)
		}
		if err == nil {
			return resp, remote(c), nil
		}
		stop()
		c.link.Close()
		if !errors.Is(err, errStale) || !repeatable(r) || r.Context().Err() != nil {
			return nil, remote(c), err
		}
	}
}

// repeatable reports whether r may be sent again when nobody knows if it arrived (RFC
// 9110 section 9.2.2).
func repeatable(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions) && r.Body == http.NoBody
}

// get returns a kept connection, if one may be used, or a new one.
func (p *Pool) get(r *http.Request, kept bool) (*conn, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err // its watch would close the connection, and not before the request has left
	}
	key := origin{r.URL.Scheme, r.URL.Host}
	for kept {
		c := p.take(key)
		if c == nil {
			break
		}
		if c.link.quiet(c.Conn) {
			c.used = true
			return c, nil
		}
		c.link.Close()
	}
	return p.open(r.Context(), key)
}

func (p *Pool) open(ctx context.Context, key origin) (*conn, error) {
	host, _, err := net.SplitHostPort(key.address)
	if err != nil {
		return nil, err
	}
	raw, err := p.Dial(ctx, "tcp", key.address)
	if err != nil {
		return nil, err
	}
	l := newLink(raw)
	if key.scheme != "https" {
		return newConn(key, l, l), nil
	}
	config := p.TLS.Clone()
	config.ServerName, config.NextProtos = host, []string{"http/1.1"}
	secure := tls.Client(l, config)
	ctx, cancel := context.WithTimeout(ctx, p.HandshakeTimeout)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		l.Close()
		return nil, err
	}
	if got := secure.ConnectionState().NegotiatedProtocol; got != "" && got != "http/1.1" {
		l.Close()
		return nil, fmt.Errorf("the upstream chose %q, which was not offered", got)
	}
	return newConn(key, l, secure), nil
}

// take removes the latest kept connection of key.
func (p *Pool) take(key origin) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.kept[key]
	if len(list) == 0 {
		return nil
	}
	c := list[len(list)-1]
	p.drop(c)
	c.expiry.Stop() // one that runs already finds nothing
	return c
}

// put keeps c, or closes it where there is no place for it.
func (p *Pool) put(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.idle >= p.MaxIdle || len(p.kept[c.key]) >= p.MaxIdlePerHost {
		c.link.Close()
		return
	}
	c.head = forNext(c.head)
	p.kept[c.key] = append(p.kept[c.key], c)
	p.idle++
	if c.expiry == nil {
		c.expiry = time.AfterFunc(p.IdleTimeout, func() { p.expire(c) })
	} else {
		c.expiry.Reset(p.IdleTimeout)
	}
}

func (p *Pool) expire(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drop(c) {
		c.link.Close()
	}
}

// drop removes c and reports whether it was kept. The caller holds the lock.
func (p *Pool) drop(c *conn) bool {
	list := p.kept[c.key]
	i := slices.Index(list, c)
	if i < 0 {
		return false
	}
	p.kept[c.key] = slices.Delete(list, i, i+1)
	if len(p.kept[c.key]) == 0 {
		delete(p.kept, c.key)
	}
	p.idle--
	return true
}

// Close closes what is kept. Requests under way end as they would, and their
// connections with them.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, list := range p.kept {
		for _, c := range list {
			c.expiry.Stop()
			c.link.Close()
		}
	}
	clear(p.kept)
	p.idle = 0
}

// check holds that nothing in the head splits the message (RFC 9110 section 5.5).
func check(r *http.Request) error {
	if !httpguts.ValidHeaderFieldName(r.Method) || !validTarget(r.URL.RequestURI()) || !httpguts.ValidHostHeader(r.Host) {
		return errors.New("invalid request line or host")
	}
	for name, values := range r.Header {
		if !httpguts.ValidHeaderFieldName(name) {
			return fmt.Errorf("invalid header field name %q", name)
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				return fmt.Errorf("invalid value of header field %q", name)
			}
		}
	}
	return nil
}

func remote(c *conn) netip.AddrPort {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort()
	}
	return netip.AddrPort{}
}
