package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"bottled/bottle"
)

// An endpoint is one method on one path.
type endpoint struct {
	method string
	path   string   // "{ref}" and "{exec}" stand for one segment, which is a slug
	query  []string // flags it knows; any other is refused
	named  string   // a query parameter that names a bottle
	body   bool     // one JSON document is due
	files  bool     // descriptors may ride along
	large  bool     // its answer may be
	change bool     // leaves a line in the log
	serve  func(*Server, *call) (any, error)
}

var endpoints = []endpoint{
	{method: "GET", path: "/v1/version", serve: (*Server).version},
	{method: "GET", path: "/v1/doctor", large: true, serve: (*Server).doctor},
	{method: "GET", path: "/v1/bottles", query: []string{"all"}, large: true, serve: (*Server).list},
	{method: "POST", path: "/v1/bottles", body: true, files: true, change: true, serve: (*Server).create},
	{method: "GET", path: "/v1/bottles/{ref}", large: true, serve: (*Server).inspect},
	{method: "GET", path: "/v1/bottles/{ref}/wait", query: []string{"attached"}, serve: (*Server).wait},
	{method: "POST", path: "/v1/bottles/{ref}/exec", body: true, files: true, change: true, serve: (*Server).exec},
	{method: "GET", path: "/v1/bottles/{ref}/exec/{exec}/wait", serve: (*Server).waitExec},
	{method: "POST", path: "/v1/bottles/{ref}/signal", body: true, change: true, serve: (*Server).signal},
	{method: "PUT", path: "/v1/bottles/{ref}/routes", body: true, change: true, serve: (*Server).updateRoutes},
	{method: "GET", path: "/v1/events", query: []string{"denied", "follow"}, named: "bottle", serve: (*Server).events},
	{method: "GET", path: "/v1/stats", large: true, serve: (*Server).stats},
	{method: "GET", path: "/v1/metrics", large: true, serve: (*Server).metrics},
	{method: "GET", path: "/v1/proposals", large: true, serve: (*Server).proposals},
	{method: "POST", path: "/v1/bottles/{ref}/proposals/{exec}", body: true, change: true, serve: (*Server).decide},
	{method: "POST", path: "/v1/bottles/{ref}/stop", body: true, change: true, serve: (*Server).stop},
}

// A call is one request that is let in and well-formed.
type call struct {
	ctx       context.Context
	id        string
	caller    bottle.Caller
	ref, exec string
	flags     map[string]bool
	body      []byte
	files     []*os.File // the endpoint's, whatever its outcome
	taken     []func()   // give back what it took of its user's share
}

// ServeHTTP lets a request in, or not, and answers it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := r.Context().Value(connKey{}).(*conn)
	q := &call{ctx: r.Context(), id: requestID(), caller: c.peer.Caller}
	w.Header().Set(RequestIDHeader, q.id)
	began := time.Now()
	defer q.giveBack()

	var answer any
	e, err := s.admit(w, r, c, q)
	if err == nil {
		answer, err = s.run(e, q)
	}
	status := http.StatusOK
	if err != nil {
		f := refusalOf(err, q.name())
		status, answer = f.status, Error{Code: f.code, Message: f.message, RequestID: q.id}
	}
	c.drop()
	s.report(e, q, status, err, time.Since(began))
	if h, ok := answer.(http.Handler); ok { // not one JSON document
		h.ServeHTTP(w, r)
		return
	}
	reply(w, status, answer)
}

// admit decides everything that does not need the work done.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, c *conn, q *call) (e *endpoint, err error) {
	if err := s.allowed(&c.peer); err != nil {
		w.Header().Set("Connection", "close")
		return nil, err
	}
	e, err = find(w, r, q)
	if err != nil {
		w.Header().Set("Connection", "close") // its body was not read
		return nil, err
	}
	if err = q.take(c.share, e, r.ContentLength); err == nil {
		q.body, err = readBody(w, r, e.body)
	}
	if err != nil {
		w.Header().Set("Connection", "close")
		return e, err
	}
	// The request is here whole; what follows takes as long as it takes, and the
	// connection's reading side only tells that the client has gone.
	http.NewResponseController(w).SetReadDeadline(time.Time{})
	q.files, err = filesFor(w, r, c, e)
	return e, err
}

// filesFor takes the descriptors that came, which have to be those announced.
func filesFor(w http.ResponseWriter, r *http.Request, c *conn, e *endpoint) ([]*os.File, error) {
	announced := 0
	if h := r.Header.Values(FDHeader); len(h) > 0 {
		n, err := strconv.Atoi(h[0])
		if len(h) > 1 || err != nil || n < 0 {
			return nil, invalidf("header %s: %q is not a number of descriptors", FDHeader, strings.Join(h, ", "))
		}
		announced = n
	}
	files, err := c.take()
	if len(files) > 0 || err != nil {
		w.Header().Set("Connection", "close") // which request a descriptor belongs to is never a question
	}
	switch {
	case err != nil:
		return nil, invalidf("at most %d descriptors may come with a request", maxFDs)
	case len(files) > 0 && !e.files:
		err = invalidf("%s %s takes no descriptors", e.method, e.path)
	case len(files) != announced:
		err = invalidf("%d descriptors came and header %s announces %d: send them with the first byte of the request", len(files), FDHeader, announced)
	default:
		return files, nil
	}
	closeFiles(files)
	return nil, err
}

// run calls the endpoint and turns a panic into an internal error.
func (s *Server) run(e *endpoint, q *call) (answer any, err error) {
	defer func() {
		if p := recover(); p != nil {
			closeFiles(q.files)
			s.log.Error("panic", "request", q.id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = errors.New("the daemon made a mistake; its log has the details")
		}
	}()
	return e.serve(s, q)
}

// report logs what was changed, and what was refused.
func (s *Server) report(e *endpoint, q *call, status int, err error, took time.Duration) {
	if (e == nil || !e.change) && status != http.StatusForbidden && status != http.StatusInternalServerError {
		return
	}
	level, call := slog.LevelInfo, "not admitted"
	if e != nil {
		call = e.method + " " + e.path
	}
	attrs := []slog.Attr{
		slog.String("call", call), slog.Uint64("uid", uint64(q.caller.UID)), slog.Int("pid", q.caller.PID),
		slog.String("request", q.id), slog.Int("status", status), slog.Duration("took", took),
	}
	if q.ref != "" {
		attrs = append(attrs, slog.String("bottle", q.ref))
	}
	if err != nil {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("err", short(err.Error())))
	}
	s.log.LogAttrs(q.ctx, level, "api", attrs...)
}

// short is what a log gets of a text that a caller may have made as long as they liked.
func short(text string) string {
	const most = 2 << 10
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// find matches the path byte for byte: no segment of the API is ever escaped, and
// nothing is cleaned or redirected.
func find(w http.ResponseWriter, r *http.Request, q *call) (*endpoint, error) {
	if r.Header.Get("Upgrade") != "" || r.Header.Get("Origin") != "" {
		return nil, invalidf("this is not an API for browsers: Origin and Upgrade are not accepted")
	}
	path, rawQuery, _ := strings.Cut(r.RequestURI, "?")
	var methods []string
	for i := range endpoints {
		e := &endpoints[i]
		params, ok := match(e.path, path)
		if !ok {
			continue
		}
		if e.method != r.Method {
			methods = append(methods, e.method)
			continue
		}
		for _, p := range params {
			if !slug().MatchString(p) {
				return nil, invalidf("%q is neither the id nor the name of a bottle or command: those are a-z, 0-9 and '-'", p)
			}
		}
		if len(params) > 0 {
			q.ref = params[0]
		}
		if len(params) > 1 {
			q.exec = params[1]
		}
		var err error
		q.flags, err = flagsOf(rawQuery, e, q)
		return e, err
	}
	if methods != nil {
		allow := strings.Join(methods, ", ")
		w.Header().Set("Allow", allow)
		return nil, refusal{http.StatusMethodNotAllowed, "invalid", fmt.Sprintf("%s is not a method of %s: use %s", r.Method, path, allow)}
	}
	return nil, refusal{http.StatusNotFound, "not-found", fmt.Sprintf("%q is not part of the API, which begins at /%s/bottles", path, Version)}
}

// match compares segment by segment and returns what stands for the braces.
func match(pattern, path string) (params []string, ok bool) {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	for i := range want {
		switch {
		case strings.HasPrefix(want[i], "{"):
			params = append(params, got[i])
		case want[i] != got[i]:
			return nil, false
		}
	}
	return params, true
}

// flagsOf reads a query of flags, each "1", "true", "0" or "false", and the one
// parameter that names a bottle.
func flagsOf(raw string, e *endpoint, q *call) (map[string]bool, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, invalidf("query: %v", err)
	}
	flags := make(map[string]bool)
	for key, vs := range values {
		if e.named != "" && key == e.named && len(vs) == 1 && slug().MatchString(vs[0]) {
			q.ref = vs[0]
			continue
		}
		b, err := strconv.ParseBool(vs[0])
		if err != nil || len(vs) > 1 || !slices.Contains(e.query, key) {
			return nil, invalidf("query: %q is not understood here; known flags (true or false): %q", key, e.query)
		}
		flags[key] = b
	}
	return flags, nil
}

// name is what the request named, for messages.
func (q *call) name() string {
	if q.exec != "" {
		return q.ref + "/" + q.exec
	}
	return q.ref
}

func reply(w http.ResponseWriter, status int, answer any) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(answer) // the client has gone, then
}

func requestID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}
