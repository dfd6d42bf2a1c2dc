package upstreamtest

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
)

var errMalformed = errors.New("upstreamtest: malformed query")

// maxBody bounds what is remembered of a body, in bytes.
const maxBody = 1 << 20

// Request is what reached an upstream.
type Request struct {
	Proto, Method, Host, Target string
	Header                      http.Header
	Trailer                     http.Header // announced
	Body                        []byte      // up to 1 MiB
	TLS                         bool
}

// Server is an HTTP server that remembers.
type Server struct {
	Addr netip.AddrPort

	server *http.Server

	mu       sync.Mutex
	requests []Request
	opened   int
}

// Handler answers after the request was remembered; its body can be read again.
type Handler = http.HandlerFunc

// Plain starts a server for http on address, such as "127.0.0.1:0".
func Plain(address string, answer Handler) (*Server, error) { return start(address, nil, answer) }

// TLS starts a server for https, HTTP/1.1 and HTTP/2, that is authentic for names.
func TLS(address string, authority *Authority, names []string, answer Handler) (*Server, error) {
	leaf, err := authority.Leaf(names...)
	if err != nil {
		return nil, err
	}
	return start(address, &tls.Config{Certificates: []tls.Certificate{leaf}, NextProtos: []string{"h2", "http/1.1"}}, answer)
}

func start(address string, config *tls.Config, answer Handler) (*Server, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	s := &Server{Addr: l.Addr().(*net.TCPAddr).AddrPort()}
	s.server = &http.Server{
		Handler: s.remember(answer), TLSConfig: config, ErrorLog: log.New(io.Discard, "", 0),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				s.mu.Lock()
				s.opened++
				s.mu.Unlock()
			}
		},
	}
	go func() {
		if config == nil {
			_ = s.server.Serve(l)
		} else {
			_ = s.server.ServeTLS(l, "", "")
		}
	}()
	return s, nil
}

// Port is the server's port as text.
func (s *Server) Port() string { return strconv.Itoa(int(s.Addr.Port())) }

// Requests returns what has reached the server, in order.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Opened is how many connections have reached the server.
func (s *Server) Opened() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened
}

// Close ends the server and its connections.
func (s *Server) Close() error { return s.server.Close() }

func (s *Server) remember(answer Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := &memory{from: r.Body}
		r.Body = body
		index := s.note(r)
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.requests[index].Body = body.seen
		}()
		answer(w, r)
		_, _ = io.Copy(io.Discard, body)
	})
}

func (s *Server) note(r *http.Request) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, Request{
		Proto: r.Proto, Method: r.Method, Host: r.Host, Target: r.RequestURI, Header: r.Header.Clone(), Trailer: r.Trailer.Clone(), TLS: r.TLS != nil,
	})
	return len(s.requests) - 1
}

// memory remembers what is read through it.
type memory struct {
	from io.ReadCloser
	seen []byte
}

func (m *memory) Read(p []byte) (int, error) {
	n, err := m.from.Read(p)
	m.seen = append(m.seen, p[:min(n, maxBody-len(m.seen))]...)
	return n, err
}

func (m *memory) Close() error { return m.from.Close() }
