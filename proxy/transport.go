package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"bottled/proxy/gate"
	"bottled/routes"
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
	byRange map[string]*http.Transport
	make    func() *http.Transport
}

func (p *pools) get(private []netip.Prefix) *http.Transport {
	key := fmt.Sprint(private)
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.byRange[key]
	if t == nil {
		t = p.make()
		p.byRange[key] = t
	}
	return t
}

// reset forgets all pools, so that nothing an older table opened is used again.
func (p *pools) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.byRange {
		t.CloseIdleConnections()
	}
	clear(p.byRange)
}

// newTransport returns a pool of upstream connections. It never asks the
// environment for a proxy, never follows a redirect, never decodes a body, and
// dials through the gate only.
func (s *Server) newTransport() *http.Transport {
	l := s.cfg.Limits
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            s.dial,
		TLSClientConfig:        &tls.Config{RootCAs: s.cfg.Roots, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(256)},
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    l.UpstreamHandshake,
		ResponseHeaderTimeout:  l.UpstreamResponse,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: l.ResponseHeader,
		MaxIdleConns:           512,
		MaxIdleConnsPerHost:    128,
		IdleConnTimeout:        90 * time.Second,
		DisableCompression:     true,
		WriteBufferSize:        16 << 10,
		ReadBufferSize:         32 << 10,
	}
}

type permitKey struct{}

// permit goes with a request to the dialler: what the decision allows.
type permit struct {
	authority    routes.Authority
	allowPrivate []netip.Prefix
}

// dial is the only way out. It refuses whatever does not come with the permit of
// an allowed request for exactly this address.
func (s *Server) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	p, ok := ctx.Value(permitKey{}).(*permit)
	if !ok {
		return nil, &gate.Refusal{Host: addr, Reason: "no decision came with the request"}
	}
	if want := p.authority.String(); want != addr {
		return nil, &gate.Refusal{Host: addr, Reason: fmt.Sprintf("the decision was for %q", want)}
	}
	conn, err := s.gate.Dial(ctx, gate.Target{Host: p.authority.Host.String(), Port: p.authority.Port, AllowPrivate: p.allowPrivate})
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
	return reasonUpstream
}
