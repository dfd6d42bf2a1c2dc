package upstreamtest

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
)

// Bare is an HTTPS server that remembers nothing, for measurements.
type Bare struct {
	Port   int
	server *http.Server
}

// NewBare starts a server on loopback, HTTP/1.1 and HTTP/2, that is authentic for name.
func NewBare(authority *Authority, name string, answer http.HandlerFunc) (*Bare, error) {
	leaf, err := authority.Leaf(name)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &Bare{
		Port: l.Addr().(*net.TCPAddr).Port,
		server: &http.Server{
			Handler: answer, ErrorLog: log.New(io.Discard, "", 0),
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{leaf}, NextProtos: []string{"h2", "http/1.1"}},
		},
	}
	go func() { _ = b.server.ServeTLS(l, "", "") }()
	return b, nil
}

// Addr is where the server listens.
func (b *Bare) Addr() string {
	return (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: b.Port}).String()
}

// Close ends the server and its connections.
func (b *Bare) Close() error { return b.server.Close() }
