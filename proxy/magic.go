package proxy

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"bottled/audit"
	"bottled/routes"
)

// isMagic reports whether h is one of the enforcer's own names.
func isMagic(h routes.Host) bool { return h.IsMagic() || h.String() == routes.ProxyHost }

// maxMagicBody bounds a request to the magic host, in bytes.
const maxMagicBody = 1 << 20

// serveMagic answers for the enforcer itself. Nothing is looked up or dialled.
func (x *exchange) serveMagic(w http.ResponseWriter, r *http.Request) {
	x.event.Verdict, x.event.Route = audit.Allow, routes.MagicHost
	if o := r.Header.Get("Origin"); o != "" && !ownOrigin(o) {
		x.deny(w, reason{"foreign-origin", http.StatusForbidden, "pages of other origins may not call the enforcer"})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxMagicBody)
	rec := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	defer func() { x.event.Status = rec.status }()
	path, _, _ := strings.Cut(x.query.Target, "?")
	var body []byte
	contentType := "application/json"
	id, decision := strings.CutPrefix(path, "/decisions/")
	found := true
	switch {
	case path == "/allowlist":
		body = x.table.AllowlistJSON()
	case path == "/healthz":
		body, _ = json.Marshal(map[string]any{"status": "ok", "generation": x.table.Generation()}) // cannot fail
	case path == "/ca.pem":
		body, contentType = x.s.cfg.CA.CertPEM(), "application/x-pem-file"
	case decision:
		var kept refused
		kept, found = x.s.recent.get(id)
		body = kept.text
	case x.s.cfg.Magic != nil:
		_, query, _ := strings.Cut(x.query.Target, "?")
		ctx, cancel := context.WithCancel(r.Context()) // which may be the connection's
		defer cancel()
		r = r.WithContext(ctx)
		r.URL = &url.URL{Path: path, RawQuery: query} // as a handler of a server would see it
		x.s.cfg.Magic.ServeHTTP(rec, r)
		return
	default:
		found = false
	}
	switch {
	case !found:
		x.refuse(rec, reason{"not-found", http.StatusNotFound, "the enforcer has /allowlist, /healthz, /ca.pem and /decisions/REQUEST-ID"})
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		x.refuse(rec, reasonMethod.because("GET or HEAD"))
	default:
		rec.Header().Set("Content-Type", contentType)
		rec.Header().Set("Content-Length", strconv.Itoa(len(body)))
		rec.Header().Set("Cache-Control", "no-store")
		n, _ := rec.Write(body) // a client that is gone does not want it
		x.event.BytesDown = int64(n)
	}
}

func ownOrigin(o string) bool {
	_, host, _ := strings.Cut(o, "://")
	return host == routes.MagicHost || host == routes.ProxyHost
}

// statusWriter remembers the status for the audit.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}
