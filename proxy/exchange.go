package proxy

import (
	"context"
	"crypto/rand"
	"net/http"
	"time"

	"bottled/audit"
	"bottled/proxy/h1"
	"bottled/routes"
)

// exchange is one request on its way: made, judged, carried out and audited by
// the goroutine that serves it.
type exchange struct {
	s        *Server
	f        *flow
	table    *routes.Table
	query    routes.Query
	address  string // query.Authority, with the port
	host     string // the same as it is sent
	decision routes.Decision
	event    audit.Event
	cancel   context.CancelCauseFunc

	inject  *injection // nil: the route has no credential
	guarded bool       // what comes back is searched for the bottle's tokens
	scan    Scan       // nil: nobody scans
	ctx     context.Context
	body    *requestBody  // nil: the request has none
	answer  *responseBody // the upstream's
	interim interim
	writer  responseWriter
	idle    *idle
	why     *reason // why there is no response of the upstream's; answered at the end
	readErr error   // of the response's body
	broken  bool    // the response ended in the middle
	stream  bool    // the response has a body of unknown length
}

// newExchange begins with what the connection says.
func (s *Server) newExchange(f *flow) *exchange {
	s.count.requests.Add(1)
	x := &exchange{s: s, f: f, table: s.table.Load()}
	x.event = audit.Event{
		Time: time.Now(), Kind: audit.Request, Bottle: s.cfg.Bottle, Owner: s.cfg.Owner, Generation: x.table.Generation(),
		RequestID: rand.Text(), OriginalDst: f.dst, Scheme: f.scheme(), Protocol: "h1", Process: f.process,
	}
	if f.tls {
		x.event.SNI = f.sni.String()
	}
	return x
}

// refuseMalformed answers what is no request of HTTP/1.
func (s *Server) refuseMalformed(w http.ResponseWriter, ctx context.Context, m *h1.Malformed) {
	x := s.newExchange(flowOf(ctx))
	why := reasonBadRequest.because(m.Detail).at(m.Status)
	switch m.Status {
	case http.StatusRequestHeaderFieldsTooLarge:
		why = reasonTooLarge.because(m.Detail)
	case http.StatusHTTPVersionNotSupported:
		why = reasonVersion
	}
	x.refuse(w, why)
	x.record()
}

// serveHTTP is the handler of every request.
func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	f := flowOf(r.Context())
	if f == nil {
		panic(http.ErrAbortHandler) // no flow, no authority to judge by
	}
	x := s.newExchange(f)
	x.event.Protocol, x.event.Method = protocolOf(r), r.Method
	defer func() {
		fault := recover()
		if fault != nil && fault != http.ErrAbortHandler {
			s.count.panics.Add(1)
			x.event.Verdict, x.event.Reason = audit.Deny, "internal-error"
		}
		x.event.Duration = time.Since(x.event.Time)
		x.endScan()
		x.record()
		if r.Context().Err() != nil {
			s.gaveUp(r.Context())
		}
		if fault != nil {
			panic(http.ErrAbortHandler) // which closes the connection, and prints nothing
		}
	}()
	x.serve(w, r)
	if x.broken {
		panic(http.ErrAbortHandler) // never let half a response look like a whole one
	}
}

func (x *exchange) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect && !x.f.tls && x.f.connect == nil && r.ProtoMajor == 1 {
		x.tunnel(w, r)
		return
	}
	why, ok := x.judge(r)
	if !ok {
		swallow(w, r)
		x.refuse(w, why)
		return
	}
	if isMagic(x.query.Authority.Host) {
		x.serveMagic(w, r)
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	x.ctx, x.cancel = ctx, cancel
	still := x.s.still(x.query.Authority.Host, x.decision.Route, func(t *routes.Table) routes.Decision { return t.Decide(x.query) })
	line, why, ok := x.s.hold(x.table, still, func() { cancel(errCut) })
	if !ok {
		swallow(w, r)
		x.refuse(w, why)
		return
	}
	defer x.s.live.remove(line)
	x.event.Verdict = audit.Allow
	if x.upgrading(r) {
		x.serveWebSocket(w, r)
		return
	}
	x.forward(w, r)
}

// endScan ends the scan and notes what it found.
func (x *exchange) endScan() {
	if x.scan != nil {
		found(&x.event, x.scan.Close()...)
	}
}

func (x *exchange) record() {
	if x.event.Verdict != audit.Allow {
		x.s.count.denied.Add(1)
	}
	x.s.cfg.Audit.Record(x.event)
}

func (f *flow) scheme() string {
	if f.tls {
		return "https"
	}
	return "http"
}

func protocolOf(r *http.Request) string {
	if r.ProtoMajor == 2 {
		return "h2"
	}
	return "h1"
}
