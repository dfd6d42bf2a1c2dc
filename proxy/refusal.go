package proxy

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Refusal is the JSON body of a response that the enforcer itself gave, instead
// of the upstream. Its first reader is a program in the bottle.
type Refusal struct {
	Error     string `json:"error"` // always "blocked by bottled" or "upstream failed"
	Method    string `json:"method,omitempty"`
	Host      string `json:"host,omitempty"` // canonical, with the port where it is not the scheme's
	Path      string `json:"path,omitempty"` // without a query; a long one is cut and ends in "…"
	Reason    string `json:"reason"`         // a stable code, such as "host-not-allowed"
	Detail    string `json:"detail,omitempty"`
	Rule      string `json:"rule,omitempty"` // of the scanner
	RequestID string `json:"request_id"`     // also in X-Request-Id; see /decisions/ID of the magic host
	Tool      string `json:"tool,omitempty"` // the MCP tool with which to ask for a change
}

const (
	toolRoute = "egress-proxy-block"
	toolScan  = "pipelock-block"
)

// maxShown bounds the path in a Refusal, in bytes: hundreds of them are kept.
const maxShown = 1024

// refuse answers the exchange with why. Nothing of a peer's own words goes in,
// except the names that were judged.
func (x *exchange) refuse(w http.ResponseWriter, why reason) {
	x.event.Reason, x.event.Detail, x.event.Status = why.code, why.detail, why.status
	body := Refusal{
		Error: "blocked by bottled", Method: x.event.Method, Host: x.event.Authority, Path: x.event.Path.String(),
		Reason: why.code, Detail: why.detail, Rule: x.event.Rule, RequestID: x.event.RequestID,
	}
	switch {
	case why.code == reasonBlocked.code:
		body.Tool = toolScan
	case why.status == http.StatusForbidden:
		body.Tool = toolRoute
	case why.status >= 500:
		body.Error = "upstream failed"
	}
	if len(body.Path) > maxShown {
		body.Path = body.Path[:maxShown] + "…"
	}
	text, err := json.Marshal(body)
	if err != nil { // strings only: cannot fail
		panic(err)
	}
	text = append(text, '\n')
	kept := refused{text: text}
	if why.code == reasonBlocked.code {
		kept.match = &Stopped{x.event.Rule, x.event.Fingerprint, x.decision.Route}
	}
	x.s.recent.add(x.event.RequestID, kept)
	h := w.Header()
	clear(h)
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Request-Id", x.event.RequestID)
	h.Set("X-Content-Type-Options", "nosniff")
	if why.status == http.StatusMethodNotAllowed {
		h.Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	}
	w.WriteHeader(why.status)
	_, _ = w.Write(text) // a client that is gone does not want it
}

// Bounds on what swallow reads.
const (
	swallowMost = 256 << 10
	swallowTime = 250 * time.Millisecond
)

// swallow reads and drops the body of a request of HTTP/2 that goes nowhere, before it is
// answered. Where the body has not ended, package http2 resets the stream behind its answer
// (RFC 9113 section 8.1), and a curl that finds both at once, while it sends, reports the
// reset and shows no answer.
func swallow(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != 2 || r.ContentLength == 0 {
		return
	}
	if http.NewResponseController(w).SetReadDeadline(time.Now().Add(swallowTime)) == nil {
		_, _ = io.CopyN(io.Discard, r.Body, swallowMost)
	}
}
