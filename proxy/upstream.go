package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"bottled/proxy/gate"
	"bottled/routes"
	"bottled/secret"
)

// Upstream is another proxy to which every connection is chained, by CONNECT (RFC
// 9110 section 9.3.6), for http as for https.
type Upstream struct {
	TLS       bool // the proxy itself is spoken to in TLS
	Authority routes.Authority
	// Roots verify the proxy's own certificate. Config.Roots verify what is presented
	// through it: a proxy that intercepts needs its authority in both.
	Roots *x509.CertPool

	// Auth is how the credential in Token is shown to the proxy, with the CONNECT
	// alone; nil is not at all.
	Auth *routes.Auth
	// Token is asked for each CONNECT. False, and nil with Auth, refuse the dial.
	Token func() (secret.Token, bool)
}

func (u *Upstream) chain() gate.Chain {
	t := tunneler{Upstream: *u}
	if u.TLS {
		t.tls = &tls.Config{
			ServerName: u.Authority.Host.String(), RootCAs: u.Roots, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
			ClientSessionCache: tls.NewLRUClientSessionCache(1),
		}
	}
	return gate.Chain{Host: u.Authority.Host.String(), Port: u.Authority.Port, Tunnel: t.tunnel}
}

// tunneler makes tunnels through an Upstream.
type tunneler struct {
	Upstream
	tls *tls.Config // nil: it is spoken to in the clear
}

// The ways in which a chain fails that have a reason of their own.
var (
	errProxyToken  = errors.New("its credential was not given, or has expired and could not be renewed")
	errProxyRefuse = errors.New("it refuses the credential in upstream_proxy.auth")
	errProxyAsks   = errors.New("it asks for a credential, and upstream_proxy has no auth")
)

// request is the CONNECT, with the credential if there is one.
func (u *Upstream) request(authority string) (string, error) {
	head := "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n"
	if u.Auth == nil {
		return head + "\r\n", nil
	}
	if u.Token == nil {
		return "", errProxyToken
	}
	token, ok := u.Token()
	if !ok || token.IsZero() {
		return "", errProxyToken
	}
	return head + "Proxy-Authorization: " + u.Auth.Value(token.Reveal()) + "\r\n\r\n", nil
}

// tunnel asks for a tunnel to authority over conn.
func (u *tunneler) tunnel(ctx context.Context, conn net.Conn, authority string) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	socket := conn // conn becomes TLS over it, and the deadline is of both
	stop := context.AfterFunc(ctx, func() { socket.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	request, err := u.request(authority)
	if err != nil {
		return nil, err
	}
	if u.tls != nil {
		c := tls.Client(conn, u.tls)
		if err := c.HandshakeContext(ctx); err != nil {
			var cert *tls.CertificateVerificationError
			if errors.As(err, &cert) {
				return nil, fmt.Errorf("its certificate does not verify: %w", cert.Err)
			}
			return nil, orSlow(err, "the TLS handshake with it failed")
		}
		conn = c
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return nil, orSlow(err, "it closed the connection")
	}
	rest, err := connected(conn)
	if errors.Is(err, errProxyAsks) && u.Auth != nil {
		err = errProxyRefuse
	}
	if err != nil {
		return nil, err
	}
	if !stop() {
		return nil, context.Cause(ctx)
	}
	conn.SetDeadline(time.Time{})
	if len(rest) == 0 {
		return conn, nil
	}
	return &early{conn, bytes.NewReader(rest)}, nil
}

// maxConnect bounds the head of the answer to a CONNECT, in bytes.
const maxConnect = 64 << 10

const notHTTP1 = "its answer to the CONNECT is not one of HTTP/1"

// connected reads the answer to a CONNECT and returns what followed its head: of
// the tunnel, where the upstream speaks first.
func connected(conn net.Conn) ([]byte, error) {
	limited := &io.LimitedReader{R: conn, N: maxConnect}
	in := bufio.NewReaderSize(limited, 4<<10)
	resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodConnect})
	if err != nil {
		if limited.N <= 0 {
			return nil, errors.New("the head of its answer is over 64 KiB")
		}
		return nil, orSlow(err, notHTTP1)
	}
	switch { // there is no body to close: what follows is the tunnel's, or nobody's
	case resp.ProtoMajor != 1:
		return nil, errors.New(notHTTP1)
	case resp.StatusCode == http.StatusProxyAuthRequired, resp.StatusCode == http.StatusUnauthorized: // tinyproxy says the latter
		return nil, errProxyAsks
	case resp.StatusCode/100 != 2:
		return nil, fmt.Errorf("it answered %d to the CONNECT", resp.StatusCode)
	}
	rest, err := in.Peek(in.Buffered())
	return rest, err
}

// orSlow is [gate.ErrSlow] where err is of time, or else an error that says what went
// wrong: err itself may hold what the proxy sent.
func orSlow(err error, what string) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return gate.ErrSlow
	}
	return errors.New(what)
}

// chainFailure says why there is no tunnel.
func chainFailure(err *gate.ChainError) reason {
	why := reasonChain
	switch {
	case errors.Is(err, errProxyToken):
		why = reasonCredential
	case errors.Is(err, errProxyRefuse), errors.Is(err, errProxyAsks):
		why = reasonChainAuth
	case errors.Is(err, gate.ErrSlow):
		why = reasonChain.at(http.StatusGatewayTimeout)
	}
	return why.because(err.Error())
}

// early is a tunnel whose first bytes came with the answer to the CONNECT.
type early struct {
	net.Conn
	rest *bytes.Reader
}

func (e *early) Read(p []byte) (int, error) {
	if e.rest.Len() > 0 {
		return e.rest.Read(p)
	}
	return e.Conn.Read(p)
}

// CloseWrite sends a FIN and leaves the other direction open.
func (e *early) CloseWrite() error {
	if half, ok := e.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.New("proxy: no half-close")
}
