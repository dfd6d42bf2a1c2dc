package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// Path is where a [Server] answers on the magic host.
const Path = "/mcp"

// Options says how a Server works. Zero fields take the defaults.
type Options struct {
	Wait     time.Duration // how long a call waits for a decision; 0: 45 s, since many clients give up after 60
	Progress time.Duration // how often it then says so; 0: 5 s
	Waiting  int           // calls that may wait at a time, those over it are answered at once; 0: 16
	Requests int           // requests served at a time, those over it are refused with 503; 0: 64
	Body     time.Duration // how long the body of a request may take; 0: 10 s
}

// A Server answers the MCP requests of one bottle. It is an [http.Handler] for the
// magic host and may be used from several goroutines at once.
type Server struct {
	supervisor Supervisor
	o          Options
	sdk        http.Handler
	requests   chan struct{}
	waiting    chan struct{}
}

// New returns a Server of the bottle whose supervisor is s.
func New(s Supervisor, o Options) *Server {
	o.Wait, o.Progress = positive(o.Wait, 45*time.Second), positive(o.Progress, 5*time.Second)
	o.Waiting, o.Requests = positive(o.Waiting, 16), positive(o.Requests, 64)
	o.Body = positive(o.Body, 10*time.Second)
	server := &Server{
		supervisor: s, o: o,
		requests: make(chan struct{}, o.Requests), waiting: make(chan struct{}, o.Waiting),
	}
	inner := newSDKServer()
	server.addTools(inner)
	server.sdk = sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return inner }, &sdk.StreamableHTTPOptions{
		Stateless:                  true,
		DisableLocalhostProtection: true, // guard is stricter, and knows the name
		MaxRequestBodyBytes:        2 * maxBody,
	})
	return server
}

func positive[T int | time.Duration](v, standard T) T {
	if v <= 0 {
		return standard
	}
	return v
}

// methods are the methods that are served. subscriptions/listen is not among
// them: it would hold a stream open for changes that never come.
var methods = []string{
	"initialize", "notifications/initialized", "notifications/cancelled",
	"ping", "server/discover", "tools/list", "tools/call",
}

// requestKey finds the context of the HTTP request in that of a call.
type requestKey struct{}

// ServeHTTP answers one request: 200 or 202 if it was served, whatever the tool
// said; 403, 404, 405, 408, 413 or 415 and a line of text if it was none for this
// server; 400 or 503 and a JSON-RPC error if it was malformed or one too many.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if status, why := guard(w, r); why != "" {
		http.Error(w, why, status)
		return
	}
	select {
	case s.requests <- struct{}{}:
		defer func() { <-s.requests }()
	default:
		w.Header().Set("Retry-After", "5")
		fail(w, http.StatusServiceUnavailable, nil, codeBusy, "too many requests of this bottle are open: wait for their answers")
		return
	}
	body, status, why := s.readBody(w, r)
	if why != "" {
		http.Error(w, why, status)
		return
	}
	m, err := parseMessage(body)
	if err != nil {
		why := new(refused)
		errors.As(err, &why) // parseMessage returns no other
		fail(w, http.StatusBadRequest, nil, why.code, why.why)
		return
	}
	if !slices.Contains(methods, m.method) {
		s.unknown(w, r, m)
		return
	}
	r = r.WithContext(context.WithValue(r.Context(), requestKey{}, r.Context()))
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(m.text)), int64(len(m.text))
	s.sdk.ServeHTTP(w, r)
}

// readBody reads the whole body, or returns why it did not.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) ([]byte, int, string) {
	control := http.NewResponseController(w)
	// A writer that knows no deadlines leaves the bound to its server, and to the
	// number of requests.
	_ = control.SetReadDeadline(time.Now().Add(s.o.Body))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	tooLarge := (*http.MaxBytesError)(nil)
	switch {
	case errors.As(err, &tooLarge):
		return nil, http.StatusRequestEntityTooLarge, "the message is over 64 KiB"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, http.StatusRequestTimeout, "the body did not come in time"
	case err != nil:
		return nil, http.StatusBadRequest, "the request ended before its body did"
	}
	_ = control.SetReadDeadline(time.Time{})
	return body, 0, ""
}

// unknown answers a method that is not served. A notification gets no answer.
func (s *Server) unknown(w http.ResponseWriter, r *http.Request, m message) {
	if m.id == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	status := http.StatusOK
	if r.Header.Get("Mcp-Protocol-Version") >= "2026-07-28" {
		status = http.StatusNotFound // which the revision demands
	}
	fail(w, status, m.id, codeMethod, "there is no such method here")
}

// fail writes a JSON-RPC error response (section 5.1).
func fail(w http.ResponseWriter, status int, id any, code int, why string) {
	type wireError struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	text, err := json.Marshal(struct {
		Version string    `json:"jsonrpc"`
		ID      any       `json:"id"`
		Error   wireError `json:"error"`
	}{"2.0", id, wireError{code, why}})
	if err != nil { // an id is a string or a checked number: cannot fail
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that is gone does not want it
}
