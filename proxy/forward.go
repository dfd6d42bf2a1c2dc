package proxy

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"bottled/audit"
)

// prepare makes the request that will leave: a new one, whose URL and Host come
// from the decision and whose header is the client's, cleaned in place.
func (x *exchange) prepare(w http.ResponseWriter, r *http.Request) (*http.Request, reason, bool) {
	inject, why, ok := x.injection()
	if !ok {
		return nil, why, false
	}
	cleanRequest(r.Header)
	if inject != nil {
		inject.strip(r.Header)
		x.s.guard.meet(inject.auth.Slot, inject.token)
		x.inject = inject
	}
	if x.guarded = inject != nil || x.s.guard.covers(x.query.Authority.Host); x.guarded {
		narrow(r.Header)
	}
	x.announce(r)
	if x.s.cfg.Scanner != nil {
		scan, blocked := x.s.cfg.Scanner.Scan(x.query, x.decision.Route, r.Header)
		if blocked != nil {
			found(&x.event, blocked.Finding)
			return nil, reasonBlocked.because(blocked.Detail), false
		}
		x.scan = scan
	}
	out := &http.Request{
		Method: x.query.Method, URL: x.outURL(), Host: x.host, Header: r.Header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: r.ContentLength, Body: http.NoBody,
	}
	if r.ContentLength != 0 {
		x.attachBody(out, r)
	} else {
		delete(r.Header, "Expect") // of nothing
	}
	x.idle = newIdle(x.s.cfg.Limits.BodyIdle, func() { x.cancel(errIdle) })
	x.interim.x, x.interim.w = x, w
	x.ctx = context.WithValue(x.ctx, exchangeKey{}, x)
	return out.WithContext(x.ctx), reason{}, true
}

// forward carries an allowed request out through the pipeline.
func (x *exchange) forward(w http.ResponseWriter, r *http.Request) {
	out, why, ok := x.prepare(w, r)
	if !ok {
		swallow(w, r)
		x.deny(w, why)
		return
	}
	defer x.idle.stop()
	if r.ContentLength != 0 && r.ProtoMajor == 1 {
		// An upstream may answer before it has read everything; the rest of the body
		// must not be swallowed first.
		_ = http.NewResponseController(w).EnableFullDuplex()
	}
	x.writer = responseWriter{ResponseWriter: w, x: x}
	writer := &x.writer
	x.s.pipeline.ServeHTTP(writer, out)
	x.settle(w, writer)
}

// settle finishes what the pipeline did: the counts, the answer where the
// upstream gave none, and the mark of a response that broke off.
func (x *exchange) settle(w http.ResponseWriter, writer *responseWriter) {
	x.event.BytesDown = writer.written
	if x.body != nil {
		x.event.BytesUp = x.body.sent.Load()
	}
	x.endScan()
	switch {
	case x.why == nil:
	case x.why.status >= http.StatusInternalServerError:
		x.refuse(w, *x.why) // it was allowed, and failed
		return
	default:
		x.deny(w, *x.why)
		return
	}
	x.event.Status = writer.status
	if x.readErr != nil {
		x.broken = true
		x.event.Reason = failure(cause(x.ctx, x.readErr)).code
	}
}

// deny refuses a request that the table allowed.
func (x *exchange) deny(w http.ResponseWriter, why reason) {
	x.event.Verdict = audit.Deny
	x.refuse(w, why)
}

// cause prefers why a context was cancelled to the error that this led to.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil && (errors.Is(c, errCut) || errors.Is(c, errIdle)) {
		return c
	}
	return err
}

// attachBody puts the client's body, and what was announced of its trailer, on out.
func (x *exchange) attachBody(out, r *http.Request) {
	if strings.ToLower(r.Header.Get("Expect")) == "100-continue" {
		// To keep the connection, the transport would send the body even to an
		// upstream that refused it, and the client would be told to go on.
		out.Close = true
	} else {
		delete(r.Header, "Expect")
	}
	x.body = x.newRequestBody(r.Body, r.ContentLength, x.attachTrailer(out, r))
	out.Body = x.body
}
