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
)

// Upstream is another proxy to which every connection is chained, by CONNECT (RFC
// 9110 section 9.3.6), for http as for https.
type Upstream struct {
	TLS       bool // the proxy itself is spoken to in TLS
	Authority routes.Authority
	// Roots verify the proxy's own certificate. Config.Roots verify what is presented
	// through it: a proxy that intercepts needs its authority in both.
	Roots *x509.CertPool
}

func (u *Upstream) chain() gate.Chain {
	return gate.Chain{Host: u.Authority.Host.String(), Port: u.Authority.Port, Tunnel: u.tunnel}
}

// tunnel asks for a tunnel to authority over conn.
func (u *Upstream) tunnel(ctx context.Context, conn net.Conn, authority string) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if u.TLS {
		c := tls.Client(conn, &tls.Config{
			ServerName: u.Authority.Host.String(), RootCAs: u.Roots, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		})
		if err := c.HandshakeContext(ctx); err != nil {
			var cert *tls.CertificateVerificationError
			if errors.As(err, &cert) {
				return nil, fmt.Errorf("its certificate does not verify: %w", cert.Err)
			}
			return nil, errors.New("the TLS handshake with it failed")
		}
		conn = c
	}
	if _, err := fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", authority, authority); err != nil {
		return nil, errors.New("it closed the connection")
	}
	rest, err := connected(conn)
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
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return nil, errors.New("it did not answer in time")
		}
		return nil, errors.New("its answer to the CONNECT is not one of HTTP/1")
	}
	switch { // there is no body to close: what follows is the tunnel's, or nobody's
	case resp.StatusCode == http.StatusProxyAuthRequired:
		return nil, errors.New("it asks for a user name and password (407), and none can be given")
	case resp.StatusCode/100 != 2:
		return nil, fmt.Errorf("it answered %d to the CONNECT", resp.StatusCode)
	}
	rest, err := in.Peek(in.Buffered())
	return rest, err
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
