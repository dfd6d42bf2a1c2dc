package proxy

import (
	"context"
	"crypto/tls"
	"net/http"

	"golang.org/x/net/http2"
)

// configureHTTP2 makes s.http speak HTTP/2 inside TLS. It takes the place of
// net/http's own wiring for one reason: that one fills in Request.TLS for every
// request, and its absence is the only sign that :scheme said http.
func (s *Server) configureHTTP2() error {
	//lint:ignore SA1019 net/http's own wiring hides what the comment above says
	if err := http2.ConfigureServer(s.http, &http2.Server{MaxConcurrentStreams: s.cfg.Limits.Streams}); err != nil {
		return err
	}
	serve := s.http.TLSNextProto[http2.NextProtoTLS]
	s.http.TLSNextProto[http2.NextProtoTLS] = func(hs *http.Server, c *tls.Conn, h http.Handler) {
		ctx := context.Background()
		if based, ok := h.(interface{ BaseContext() context.Context }); ok {
			ctx = based.BaseContext()
		}
		serve(hs, c, http2Handler{hs.Handler, ctx})
	}
	return nil
}

// http2Handler is the Server's handler with the context of its connection, where
// package http2 looks for it.
type http2Handler struct {
	http.Handler
	ctx context.Context
}

func (h http2Handler) BaseContext() context.Context { return h.ctx }
