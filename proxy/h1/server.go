package h1

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Server serves HTTP/1.0 and HTTP/1.1 to clients. All fields are required, and are not
// changed once Serve was called. Its methods are safe for concurrent use.
type Server struct {
	// Handler answers the requests, each in the goroutine of its connection. Their
	// context is that of the connection: it ends with it, not with the request.
	// Their URL is nil. A Handler that panics ends the connection.
	Handler http.Handler
	// Refuse answers what is not a request. The connection ends then.
	Refuse func(w http.ResponseWriter, ctx context.Context, why *Malformed)
	// HeaderBytes bounds the head of a request.
	HeaderBytes int64
	// HeaderTimeout is how long a head may take from its first byte on, and the first
	// byte of a connection.
	HeaderTimeout time.Duration
	// IdleTimeout is how long a connection is kept without a request, at the least; a
	// quarter more at the most.
	IdleTimeout time.Duration

	mu       sync.Mutex
	sessions map[*session]struct{}
	closing  bool
	none     chan struct{} // closed when the last session has ended while closing

	looking atomic.Bool // look is going to run
}

// Serve serves the requests of a connection until it ends, and closes it. It is true
// when a Handler has taken the connection over, which is open then.
func (s *Server) Serve(ctx context.Context, c net.Conn) (hijacked bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	n := newSession(ctx, cancel, s, c)
	if !s.add(n) {
		c.Close()
		return false
	}
	defer s.remove(n)
	return n.serve()
}

func (s *Server) add(n *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	if s.sessions == nil {
		s.sessions = map[*session]struct{}{}
	}
	s.sessions[n] = struct{}{}
	return true
}

func (s *Server) remove(n *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, n)
	if s.closing && len(s.sessions) == 0 {
		close(s.none)
	}
}

// Shutdown lets the requests under way end, until ctx does, and takes no more. It
// returns ctx's error if there were some left; their connections are the caller's to
// close.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.closing {
		s.closing, s.none = true, make(chan struct{})
		if len(s.sessions) == 0 {
			close(s.none)
		}
	}
	for n := range s.sessions {
		n.retire()
	}
	s.mu.Unlock()
	select {
	case <-s.none:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
