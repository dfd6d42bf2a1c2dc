package proxy

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"time"

	"bottled/audit"
	"bottled/proxy/gate"
	"bottled/proxy/scrub"
	"bottled/routes"
)

// refuseFlow records a connection that ended without a request.
func (s *Server) refuseFlow(f *flow, why reason) {
	e := s.flowEvent(f)
	e.Reason, e.Detail = why.code, why.detail
	s.count.denied.Add(1)
	s.cfg.Audit.Record(e)
}

func (s *Server) flowEvent(f *flow) audit.Event {
	e := audit.Event{
		Time: time.Now(), Kind: audit.Connection, Bottle: s.cfg.Bottle, Owner: s.cfg.Owner,
		Generation: s.table.Load().Generation(), OriginalDst: f.dst, Process: f.process,
	}
	if !f.sni.IsZero() {
		e.SNI = f.sni.String()
	}
	if to, ok := f.target(); ok {
		e.Authority = to.String()
	}
	return e
}

// serveOpaque joins a flow with the upstream that a route names, byte for byte,
// until both directions ended or the route is gone.
func (s *Server) serveOpaque(f *flow, table *routes.Table, hello routes.Hello, d routes.Decision) {
	e := s.flowEvent(f)
	e.Generation, e.Route, e.Authority, e.Protocol = d.Generation, d.Route.Host.String(), hello.Authority.String(), "tcp"
	if hello.TLS {
		e.Protocol = "tls"
	}
	defer func() {
		e.Duration = time.Since(e.Time)
		if e.Verdict != audit.Allow {
			s.count.denied.Add(1)
		}
		s.cfg.Audit.Record(e)
	}()
	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	still := s.still(hello.Authority.Host, d.Route, func(t *routes.Table) routes.Decision { return t.DecideHello(hello) })
	line, why, ok := s.hold(table, still, func() { cancel(errCut) })
	if !ok {
		e.Reason, e.Detail = why.code, why.detail
		return
	}
	defer s.live.remove(line)
	up, err := s.gate.Dial(ctx, gate.Target{Host: hello.Authority.Host.String(), Port: hello.Authority.Port, AllowPrivate: d.Route.AllowPrivate})
	if err != nil {
		why := failure(cause(ctx, err))
		e.Reason, e.Detail = why.code, why.detail
		return
	}
	e.Verdict, e.Reason, e.Dialled = audit.Allow, string(d.Reason), addrPort(up.RemoteAddr())
	back := io.Reader(up)
	if d.Route.Protocol == routes.TCP && s.guard.covers(hello.Authority.Host) {
		// What is in the clear can be searched. What the two ends encrypt or compress
		// between them cannot.
		clean := scrub.NewReader(s.guard, up)
		defer func() { e.Scrubbed = clean.Found(); s.count.scrubbed.Add(int64(e.Scrubbed)) }()
		back = clean
	}
	e.BytesUp, e.BytesDown = splice(ctx, f, up, back)
	if context.Cause(ctx) != nil {
		e.Reason = reasonCut.code
	}
}

// splice copies both ways, from being what is read of up, passing on the end of each direction by itself
// (half-close), and closes both connections when it returns or ctx ends.
func splice(ctx context.Context, f *flow, up net.Conn, from io.Reader) (sent, received int64) {
	stop := context.AfterFunc(ctx, func() { f.Close(); up.Close() })
	defer stop()
	defer up.Close()
	defer f.Close()
	var back atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }() // an opaque stream ends, the worker does not
		back.Store(pump(f, f.Conn, up, from))
	}()
	early := f.pending
	f.pending = nil
	n, err := up.Write(early)
	sent = int64(n)
	if err == nil {
		sent += pump(up, up, f.Conn, f.Conn)
	} else {
		f.Close()
	}
	<-done
	return sent, back.Load()
}

// pump copies what from reads of src to w, in the kernel where both are TCP, and then ends that
// direction of dst. Where that fails it closes both, or the other direction
// would wait for ever.
func pump(dst net.Conn, w io.Writer, src net.Conn, from io.Reader) int64 {
	n, err := io.Copy(w, from)
	half, ok := dst.(interface{ CloseWrite() error })
	if err != nil || !ok || half.CloseWrite() != nil {
		dst.Close()
		src.Close()
	}
	return n
}
