package proxy

import (
	"context"
	"crypto/tls"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// configureHTTP2 makes s.http speak HTTP/2 inside TLS. It takes the place of
// net/http's own wiring for two reasons: that one fills in Request.TLS for every
// request, and its absence is the only sign that :scheme said http; and it has no
// bound on requests that are given up (see [hurried]).
func (s *Server) configureHTTP2() error {
	//lint:ignore SA1019 net/http's own wiring hides what the comment above says
	server := &http2.Server{MaxConcurrentStreams: s.cfg.Limits.Streams}
	//lint:ignore SA1019 as above
	if err := http2.ConfigureServer(s.http, server); err != nil {
		return err
	}
	s.http.TLSNextProto[http2.NextProtoTLS] = func(hs *http.Server, c *tls.Conn, h http.Handler) {
		ctx := context.Background()
		if based, ok := h.(interface{ BaseContext() context.Context }); ok {
			ctx = based.BaseContext()
		}
		conn := &hurried{Conn: c, out: newGather(c)}
		//lint:ignore SA1019 as above
		server.ServeConn(conn, &http2.ServeConnOpts{Context: context.WithValue(ctx, hurriedKey{}, conn), Handler: deep(hs.Handler), BaseConfig: hs})
	}
	return nil
}

// deep takes the stack that h will need in one step. The goroutine of a request of HTTP/2
// is a new one with the least there is, and would double that on the way down time and
// again, each time with all that is on it moved.
func deep(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		takeStack()
		h.ServeHTTP(w, r)
	})
}

//go:noinline
func takeStack() {
	var room [14 << 10]byte // with what is on it, 16 KiB
	runtime.KeepAlive(&room)
}

// hurried is an HTTP/2 connection that ends with ENHANCE_YOUR_CALM when too many of its
// requests were given up before they were answered. Each had been forwarded, and the
// place that it had among the concurrent ones was free again at once: so a client makes
// work without waiting for it, by RST_STREAM (CVE-2023-44487, rapid reset) or by a frame
// for which the server has to reset the stream itself (CVE-2025-8671, MadeYouReset). What
// counts is the end of the request, whoever brought it about.
type hurried struct {
	*tls.Conn
	out   *gather
	ended atomic.Bool // by the client: what was under way was not given up one by one
	over  atomic.Bool
}

type hurriedKey struct{}

// Read gives package http2 the error for which it says GOAWAY and closes.
func (c *hurried) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.over.Load() {
		return 0, http2.ConnectionError(http2.ErrCodeEnhanceYourCalm)
	}
	if err != nil {
		c.ended.Store(true)
	}
	return n, err
}

func (c *hurried) Write(p []byte) (int, error) { return c.out.Write(p) }

func (c *hurried) Close() error { return c.out.Close() }

// gaveUp counts a request of HTTP/2 whose stream is no more, and ends the connection
// when the bottle has no more to give up.
func (s *Server) gaveUp(ctx context.Context) {
	c, ok := ctx.Value(hurriedKey{}).(*hurried)
	if !ok || c.ended.Load() || s.resets.Allow() {
		return
	}
	c.over.Store(true)
	_ = c.SetReadDeadline(time.Unix(1, 0)) // wakes Read; a connection that is closed has no need of it
}
