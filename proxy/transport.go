package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"bottled/proxy/gate"
	"bottled/proxy/h1"
)

var (
	errCut     = errors.New("route removed")
	errUpgrade = errors.New("the upstream switched protocols without being asked")
	errRefused = errors.New("the response was refused")
)

// pools are the upstream connections of the bottle, apart for each set of private
// ranges: a connection that one route's allow_private opened serves no other
// route of that host.
type pools struct {
	mu      sync.Mutex
	byRange map[string]*pool
	make    func() *pool
}

// pool is one set of connections: those of the requests that package h1 takes, and those
// of all others.
type pool struct {
	plain *h1.Pool
	full  *http.Transport
}

func (p *pools) get(private []netip.Prefix) *pool {
	var space [64]byte
	key := space[:0]
	for _, prefix := range private {
		key = append(prefix.AppendTo(key), ' ')
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.byRange[string(key)]
	if t == nil {
		t = p.make()
		p.byRange[string(key)] = t
	}
	return t
}

// reset forgets all pools, so that nothing an older table opened is used again.
func (p *pools) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.byRange {
		t.plain.Close()
		t.full.CloseIdleConnections()
	}
	clear(p.byRange)
}

// Bounds of a pool: how many idle upstream connections are kept, and for how long.
const (
	maxIdle        = 512
	maxIdlePerHost = 128
	idleTimeout    = 90 * time.Second
)

// newPool returns a pool of upstream connections. It never asks the environment for a
// proxy, never follows a redirect, never decodes a body, and dials through the gate
// only.
func (s *Server) newPool() *pool {
	l := s.cfg.Limits
	var roots *x509.CertPool
	if s.cfg.Roots != nil {
		roots = s.cfg.Roots()
	}
	verify := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(256), DynamicRecordSizingDisabled: true}
	plain := h1.New(h1.Options{
		Dial: s.dial, TLS: verify, HandshakeTimeout: l.UpstreamHandshake, ResponseTimeout: l.UpstreamResponse,
		HeaderBytes: l.ResponseHeader, MaxIdle: maxIdle, MaxIdlePerHost: maxIdlePerHost, IdleTimeout: idleTimeout,
	})
	return &pool{plain, &http.Transport{
		Proxy:                  nil,
		DialContext:            s.dialGathered,
		TLSClientConfig:        verify.Clone(),
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    l.UpstreamHandshake,
		ResponseHeaderTimeout:  l.UpstreamResponse,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: l.ResponseHeader,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        idleTimeout,
		DisableCompression:     true,
		WriteBufferSize:        16 << 10,
		ReadBufferSize:         32 << 10,
	}}
}

func (s *Server) dialGathered(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := s.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return newGather(c), nil
}

// dial is the only way out. It refuses whatever does not come with an allowed request
// for exactly this address.
func (s *Server) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if !ok || !x.decision.Allowed() {
		return nil, &gate.Refusal{Host: addr, Reason: "no decision came with the request"}
	}
	if x.address != addr {
		return nil, &gate.Refusal{Host: addr, Reason: fmt.Sprintf("the decision was for %q", x.address)}
	}
	conn, err := s.gate.Dial(ctx, gate.Target{Host: x.query.Authority.Host.String(), Port: x.query.Authority.Port, AllowPrivate: x.decision.Route.AllowPrivate})
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetKeepAlive(true) // a dead peer is found; the error would show at the next read
	}
	return conn, nil
}

// failure says why the upstream was not reached, in words that hold nothing of
// what it sent.
func failure(err error) reason {
	var refusal *gate.Refusal
	var cert *tls.CertificateVerificationError
	var chain *gate.ChainError
	var timeout net.Error
	var blocked *Blocked
	switch {
	case errors.As(err, &blocked):
		return reasonBlocked.because(blocked.Detail)
	case errors.Is(err, errIdle):
		return reasonTimeout
	case errors.Is(err, errCut):
		return reasonCut.at(http.StatusForbidden)
	case errors.As(err, &refusal):
		return reasonAddress.because(refusal.Error())
	case errors.As(err, &chain):
		return chainFailure(chain)
	case errors.Is(err, gate.ErrResolve):
		return reasonResolve
	case errors.As(err, &cert):
		return reasonCertificate.because("the upstream's certificate does not verify: " + cert.Err.Error())
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return reasonTimeout
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return reasonConnect
	}
	var coding *codingError
	if errors.As(err, &coding) {
		return reasonEncoding.because(coding.Error())
	}
	return reasonUpstream
}
