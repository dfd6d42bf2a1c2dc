package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"bottled/proxy/sniff"
	"bottled/routes"
)

func (s *Server) accept(l net.Listener) error {
	pause := time.Duration(0)
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.admit(c)
		case errors.Is(err, net.ErrClosed):
			return http.ErrServerClosed
		default: // out of descriptors, or a connection reset in the backlog
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(pause):
			case <-s.ctx.Done():
				return http.ErrServerClosed
			}
		}
	}
}

// admit makes a flow of c, or closes it when the bottle has too many.
func (s *Server) admit(c net.Conn) {
	s.count.accepted.Add(1)
	if s.count.open.Add(1) > int64(s.cfg.Limits.Connections) {
		s.count.open.Add(-1)
		s.count.overflow.Add(1)
		c.Close()
		return
	}
	f := &flow{Conn: c, dst: addrPort(c.LocalAddr())}
	if !s.own(f, func() { s.count.open.Add(-1) }) {
		s.count.open.Add(-1)
		c.Close()
		return
	}
	go s.start(f)
}

// own registers a flow, until it is closed, and the goroutine that is about to
// sort it. It is false when the Server shuts down.
func (s *Server) own(f *flow, closed func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	f.release = func() {
		s.mu.Lock()
		delete(s.open, f)
		s.mu.Unlock()
		closed()
		s.conns.Done()
	}
	s.open[f] = false
	s.work.Add(1)
	s.conns.Add(1)
	return true
}

// disown notes that the sorting is over.
func (s *Server) disown(f *flow) {
	s.sorted(f)
	s.work.Done()
}

// sorted notes that an HTTP server knows the flow.
func (s *Server) sorted(f *flow) {
	s.mu.Lock()
	if _, still := s.open[f]; still {
		s.open[f] = true
	}
	s.mu.Unlock()
}

// serveHTTP1 serves a flow to its end, or until it was taken over. conn is the flow or
// the TLS in it.
func (s *Server) serveHTTP1(f *flow, conn net.Conn) {
	s.sorted(f)
	s.http1.Serve(context.WithValue(s.ctx, flowKey{}, f), conn)
}

// start takes a fresh flow to whoever serves it.
func (s *Server) start(f *flow) {
	s.run(f, func() bool {
		if a := f.dst.Addr(); !f.dst.IsValid() || a.IsLoopback() || a.IsUnspecified() || slices.Contains(s.cfg.BottleAddrs, a) {
			s.refuseFlow(f, reasonDirect)
			return false
		}
		f.process = s.cfg.Process(f.Conn)
		if name, ok := s.cfg.Names(f.dst.Addr()); ok {
			f.name, f.magic = name, isMagic(name)
		}
		return s.dispatch(f)
	})
}

// run owns a flow while serve sorts it, and closes it unless serve says that
// somebody else owns it now.
func (s *Server) run(f *flow, serve func() bool) {
	defer s.disown(f)
	keep := false
	defer func() {
		if !keep {
			f.Close()
		}
	}()
	defer s.recovered()
	keep = serve()
}

// dispatch sorts a flow and reports whether somebody else owns it now.
func (s *Server) dispatch(f *flow) bool {
	table := s.table.Load()
	if to, ok := f.target(); ok && !f.magic || f.connect != nil {
		d := table.DecideHello(routes.Hello{Authority: to})
		if d.Allowed() && d.Route.Protocol == routes.TCP {
			s.serveOpaque(f, table, routes.Hello{Authority: to}, d)
			return false
		}
	}
	kind, err := peek(f, s.cfg.Limits.FirstByte)
	switch {
	case err != nil:
		s.refuseFlow(f, reasonSilent)
	case kind == sniff.TLS:
		return s.serveTLS(f, table)
	case kind == sniff.HTTP1:
		s.serveHTTP1(f, f)
		return true
	default:
		s.refuseFlow(f, reasonProtocol)
	}
	return false
}

// target is where the flow goes as far as its addresses say: the CONNECT around
// it, the name of a synthetic address, or the address itself.
func (f *flow) target() (routes.Authority, bool) {
	if f.connect != nil {
		return *f.connect, true
	}
	if !f.name.IsZero() {
		return routes.Authority{Host: f.name, Port: f.dst.Port()}, true
	}
	host, err := routes.ParseHost(f.dst.Addr().String())
	return routes.Authority{Host: host, Port: f.dst.Port()}, err == nil
}

// peek reads until the protocol is known. The bytes stay readable.
func peek(f *flow, wait time.Duration) (sniff.Kind, error) {
	f.SetReadDeadline(time.Now().Add(wait))
	defer f.SetReadDeadline(time.Time{})
	if k := sniff.Classify(f.pending); k != sniff.More {
		return k, nil
	}
	for {
		buf := make([]byte, 2048)
		n, err := f.Conn.Read(buf)
		f.pending = append(f.pending, buf[:n]...)
		if k := sniff.Classify(f.pending); k != sniff.More {
			return k, nil
		}
		if err != nil {
			return sniff.Unknown, err
		}
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}
