package metrics

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// Bounds of the page's own server.
const (
	pageTimeout = 10 * time.Second
	pageHeader  = 8 << 10 // bytes
)

// CheckAddress refuses what is not "127.0.0.1:PORT", "[::1]:PORT" or another loopback
// address: the page tells of everybody's bottles, and nobody asks who reads it.
func CheckAddress(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !at.Addr().IsLoopback() || at.Addr().Is4In6() {
		return fmt.Errorf("metrics: %q is not a loopback address and port: use 127.0.0.1:PORT or [::1]:PORT, and a proxy of your own to carry it further", address)
	}
	return nil
}

// Listen opens an address that [CheckAddress] takes.
func Listen(address string) (net.Listener, error) {
	if err := CheckAddress(address); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return l, nil
}

// Server serves GET /metrics, each answered by what page makes, and nothing else. A
// name in Host that is no loopback address is a web page that a browser was made
// to ask for (DNS rebinding), and is refused.
func Server(page func() http.Handler) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if addr, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !addr.IsLoopback()) {
			http.Error(w, "ask by a loopback address", http.StatusMisdirectedRequest)
			return
		}
		page().ServeHTTP(w, r)
	})
	return &http.Server{
		Handler: mux, ReadTimeout: pageTimeout, WriteTimeout: pageTimeout, IdleTimeout: time.Minute, MaxHeaderBytes: pageHeader,
	}
}
