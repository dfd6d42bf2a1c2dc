package proxy_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"bottled/attack"
)

// A connection does not outlive what its route gave it, though the host stays allowed.
func TestAttackOutlivesItsRoute(t *testing.T) {
	route := func(more string) string { return `{"routes": [{"host": "api.example.com"` + more + `}]}` }
	const auth = `, "auth_scheme": "Bearer", "token_env": "EGRESS_PROXY_TOKEN_0"`
	for _, row := range []struct{ id, name, then, now string }{
		{"W07", "a private range is closed", route(`, "allow_private": ["10.0.0.0/8", "172.16.0.0/12"]`), route(`, "allow_private": ["172.16.0.0/12"]`)},
		{"W07", "the credential is withdrawn", route(auth), route("")},
		{"C06", "the route is sealed", route(auth), route(auth + `, "sealed": true`)},
		{"C01", "the host is given a credential", route(""), route(auth)},
	} {
		w := newWorld(t, row.then)
		w.resolve["api.example.com"] = []netip.Addr{netip.MustParseAddr("10.1.2.3")}
		if !strings.Contains(row.then, "private") {
			w.resolve["api.example.com"] = []netip.Addr{public}
		}
		gone := make(chan struct{}, 1)
		w.upstream(func(rw http.ResponseWriter, r *http.Request) {
			webSocket(rw, r)
			gone <- struct{}{}
		}, "api.example.com")
		c := w.tls("api.example.com", 443, "http/1.1")
		c.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(c, handshake)
		if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%s: %v, %v", row.name, resp, err)
		}
		attack.Stopped(t, row.id, "WebSocket, after "+row.name,
			func(t *testing.T) error {
				w.server.Swap(w.table(row.then, 2))
				select {
				case <-gone:
					return errors.New("cut by a table that says the same")
				case <-time.After(100 * time.Millisecond):
					return nil
				}
			},
			func(*testing.T) error {
				w.server.Swap(w.table(row.now, 3))
				select {
				case <-gone:
					return errors.New("closed")
				case <-time.After(10 * time.Second):
					return nil
				}
			})
		c.NetConn().Close()
	}
}
