// Package dns answers the DNS queries of one bottle, from memory and nowhere else.
//
// A [Server] never forwards. Every name, allowed or denied, gets a synthetic
// address from a [Pool]; the name is judged when a program connects to that
// address. So a query can carry nothing out, a connection without SNI or Host
// still has a name, and a denied name still gets its readable 403. There are no
// AAAA, HTTPS or SVCB records: no way around over IPv6, no keys for an encrypted
// hello, no hint of QUIC.
//
// The package cannot dial or look anything up; a test holds it to that.
package dns

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/time/rate"
)

// Bounds of one server, which is one bottle.
const (
	// QueryRate is how many queries per second are read. What a bottle sends above
	// it waits in the socket's buffer, and the kernel drops what does not fit.
	// PoolSize/QueryRate is more than poolHold: no flood makes the pool run out.
	QueryRate  = 500
	QueryBurst = 1000
	// MaxStreams is how many TCP connections are open at a time; one more is closed.
	MaxStreams = 64
	// StreamTimeout bounds one query and its answer over TCP, and the idle time between two.
	StreamTimeout = 10 * time.Second
)

// Query is what was asked and what it got.
type Query struct {
	Name   string // canonical: lower case, no trailing dot; "" when the message was malformed
	Type   string // "A", "AAAA", "TYPE65"
	From   netip.AddrPort
	Server netip.AddrPort // the resolver that the program meant to ask
	Code   string         // "NOERROR", "NXDOMAIN", …
	Addr   netip.Addr     // zero for an answer without an address
}

// Server answers on the sockets it is given. They are opened elsewhere, inside the
// bottle's network namespace. It is safe for concurrent use.
type Server struct {
	pool    *Pool
	observe func(Query)
	limit   *rate.Limiter
	ctx     context.Context
	cancel  context.CancelFunc
	streams chan struct{} // a token per open TCP connection

	mu     sync.Mutex
	open   map[interface{ Close() error }]struct{} // nil when closed
	active sync.WaitGroup
}

// NewServer returns a server that answers from pool. observe, if not nil, is told
// of every query, at most [QueryRate] a second; it must not block.
func NewServer(pool *Pool, observe func(Query)) *Server {
	ctx, cancel := context.WithCancel(context.Background())
	return &Server{
		pool: pool, observe: observe,
		limit: rate.NewLimiter(QueryRate, QueryBurst),
		ctx:   ctx, cancel: cancel,
		streams: make(chan struct{}, MaxStreams),
		open:    make(map[interface{ Close() error }]struct{}),
	}
}

// Close closes every socket that the server was given or accepted and waits for
// what is under way. Serving methods then return nil.
func (s *Server) Close() error {
	s.cancel()
	s.mu.Lock()
	var errs []error
	for c := range s.open {
		errs = append(errs, c.Close())
	}
	s.open = nil
	s.mu.Unlock()
	s.active.Wait()
	return errors.Join(errs...)
}

// track has Close close c and wait for the caller to call the function that is
// returned. It reports false when the server is closed already, and then closes c.
func (s *Server) track(c interface{ Close() error }) (func(), bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		c.Close()
		return nil, false
	}
	s.open[c] = struct{}{}
	s.active.Add(1)
	return func() {
		s.mu.Lock()
		if s.open != nil {
			c.Close()
			delete(s.open, c)
		}
		s.mu.Unlock()
		s.active.Done()
	}, true
}

// respond appends to buf the response to msg, or returns nil for what gets none.
func (s *Server) respond(buf, msg []byte, from, server netip.AddrPort) []byte {
	q, err := parse(msg)
	if errors.Is(err, errIgnore) {
		return nil
	}
	code, addr := dnsmessage.RCodeFormatError, netip.Addr{}
	if err == nil {
		code, addr = s.answer(q)
	}
	out, err := pack(buf, q, code, addr)
	if err != nil {
		return nil
	}
	if s.observe != nil {
		s.observe(Query{
			Name: canonical(q.question.Name), Type: typeName(q.question.Type),
			From: from, Server: server, Code: codeName(code), Addr: addr,
		})
	}
	return out
}

// closed reports whether err is that of a socket that was closed under its reader.
func closed(err error) bool { return errors.Is(err, net.ErrClosed) }
