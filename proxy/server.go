package proxy

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/elazarl/goproxy"
	"golang.org/x/time/rate"

	"bottled/proxy/gate"
	"bottled/proxy/h1"
	"bottled/routes"
)

// Server is the data plane of one bottle. It is safe for concurrent use.
type Server struct {
	cfg      Config
	table    atomic.Pointer[routes.Table]
	gate     *gate.Gate
	pools    pools
	pipeline *goproxy.ProxyHttpServer
	tls      *tls.Config
	http1    *h1.Server
	http     *http.Server // of HTTP/2
	handoff  *handoff
	live     live
	resets   *rate.Limiter // of HTTP/2 requests that are given up
	recent   decisions
	guard    *guard
	count    counters
	swapping sync.Mutex

	ctx    context.Context // ends with the Server
	cancel context.CancelFunc
	work   sync.WaitGroup // goroutines of this package
	conns  sync.WaitGroup // open flows

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	open      map[*flow]bool // true: in the hands of an HTTP server
	closed    bool
}

// New checks cfg and starts a Server that has no listener yet. Shutdown ends it.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, handoff: newHandoff(), guard: newGuard(), listeners: map[net.Listener]struct{}{}, open: map[*flow]bool{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.live.most = cfg.Limits.Requests
	s.resets = rate.NewLimiter(rate.Limit(cfg.Limits.Resets)/10, cfg.Limits.Resets)
	s.gate = gate.New(cfg.Resolver, cfg.Dial, cfg.HostAddrs, cfg.Limits.Dial)
	if cfg.Upstream != nil {
		s.gate.Through(cfg.Upstream.chain())
	}
	s.pools = pools{byRange: map[string]*pool{}, make: s.newPool}
	s.pipeline = s.newPipeline()
	s.tls = s.newTLS()
	s.use(cfg.Table)
	l := cfg.Limits
	s.http1 = &h1.Server{
		Handler: http.HandlerFunc(s.serveHTTP), Refuse: s.refuseMalformed,
		HeaderBytes: int64(l.HeaderBytes), HeaderTimeout: l.Header, IdleTimeout: l.Idle,
	}
	s.http = &http.Server{
		Handler:                      http.HandlerFunc(s.serveHTTP),
		TLSConfig:                    s.tls,
		ReadHeaderTimeout:            l.Header,
		IdleTimeout:                  l.Idle,
		MaxHeaderBytes:               l.HeaderBytes,
		DisableGeneralOptionsHandler: true, // "OPTIONS *" is judged and audited like any request
		ErrorLog:                     log.New(io.Discard, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if t, ok := c.(*tls.Conn); ok {
				c = t.NetConn()
			}
			return context.WithValue(ctx, flowKey{}, c)
		},
	}
	if err := s.configureHTTP2(); err != nil {
		return nil, err
	}
	s.work.Go(func() {
		defer s.recovered()
		_ = s.http.Serve(s.handoff) // always http.ErrServerClosed
	})
	return s, nil
}

// Serve takes connections from l until it is closed or the Server shuts down.
// The local address of a connection is its original destination, as TPROXY
// delivers it. The error says why it ended; it is never nil.
func (s *Server) Serve(l net.Listener) error {
	if !s.track(l) {
		return http.ErrServerClosed
	}
	defer s.untrack(l)
	return s.accept(l)
}

func (s *Server) track(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.listeners[l] = struct{}{}
	}
	return !s.closed
}

func (s *Server) untrack(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

// Swap puts t in the place of the table. Requests are judged by t from now on;
// what is under way and no longer allowed is cut before Swap returns. A nil table
// denies everything.
func (s *Server) Swap(t *routes.Table) {
	s.swapping.Lock()
	defer s.swapping.Unlock()
	s.use(t)
	s.live.sweep(t)
	s.pools.reset()
}

func (s *Server) use(t *routes.Table) {
	s.guard.learn(t, s.cfg.Credential)
	s.table.Store(t)
	patterns := t.Hosts()
	names := make([]string, len(patterns))
	for i, p := range patterns {
		names[i] = p.String()
	}
	s.gate.Allow(names)
}

// hold puts a connection under way that t allowed, unless there are too many or it is
// no longer allowed, now that a Swap would find it.
func (s *Server) hold(t *routes.Table, still func(*routes.Table) bool, cut func()) (*lifeline, reason, bool) {
	line := s.live.add(still, cut)
	if line == nil {
		return nil, reasonBusy.because("the bottle has " + strconv.Itoa(s.live.most) + " requests under way: let some end first"), false
	}
	if now := s.table.Load(); now != t && !still(now) {
		s.live.remove(line)
		return nil, reasonCut.at(http.StatusForbidden), false
	}
	return line, reason{}, true
}

// Shutdown closes the listeners, lets requests under way end until ctx does, and
// then cuts everything. It returns ctx's error if it had to cut.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	for l := range s.listeners {
		l.Close()
	}
	s.mu.Unlock()
	s.cut(false)
	err := s.http1.Shutdown(ctx)
	if err2 := s.http.Shutdown(ctx); err == nil {
		err = err2
	}
	s.http.Close()
	s.handoff.Close()
	s.cancel()
	s.live.sweep(nil)
	s.cut(true)
	s.work.Wait()
	s.conns.Wait()
	s.pools.reset()
	return err
}

// cut closes the flows that no HTTP server knows, or all of them.
func (s *Server) cut(all bool) {
	s.mu.Lock()
	var list []*flow
	for f, served := range s.open {
		if all || !served {
			list = append(list, f)
		}
	}
	s.mu.Unlock()
	for _, f := range list { // the inside of a CONNECT closes its outside, which takes the lock
		f.Conn.Close()
	}
}

// recovered keeps a panic in one connection from ending the bottle's worker.
func (s *Server) recovered() {
	if recover() != nil {
		s.count.panics.Add(1)
	}
}
