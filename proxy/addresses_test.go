package proxy_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"bottled/attack"
	"bottled/proxy"
)

// A route's allow_private opens its own ranges, on its own ports, for its own host,
// over IPv4 and IPv6, and never a metadata service.
func TestPrivateAddressesAndPorts(t *testing.T) {
	w := newWorld(t, `{"routes": [
		{"host": "db.example.com", "ports": [8443], "allow_private": ["10.0.0.0/8", "fd00::/8"]},
		{"host": "api.example.com", "ports": [443, 8443]}]}`)
	up := w.upstream(func(http.ResponseWriter, *http.Request) {}, "db.example.com", "api.example.com")
	w.at(8443, up.Addr.String())
	for _, c := range []struct {
		host    string
		port    uint16
		address string
		status  int
		dialled bool
	}{
		{"db.example.com", 8443, "10.1.2.3", 200, true},
		{"db.example.com", 8443, "fd12::1", 200, true},
		{"db.example.com", 8443, "93.184.215.14", 200, true},
		{"db.example.com", 8443, "2606:2800::1", 200, true},
		{"db.example.com", 443, "10.1.2.3", 403, false},
		{"db.example.com", 8443, "192.168.1.1", 403, false},
		{"db.example.com", 8443, "169.254.169.254", 403, false},
		{"db.example.com", 8443, "fd00:ec2::254", 403, false},
		{"api.example.com", 443, "2606:2800::1", 200, true},
		{"api.example.com", 8443, "93.184.215.14", 200, true},
		{"api.example.com", 8443, "10.1.2.3", 403, false},
		{"api.example.com", 443, "fd12::1", 403, false},
		{"api.example.com", 8080, "93.184.215.14", 403, false},
	} {
		for _, h2 := range []bool{false, true} {
			w.mu.Lock()
			w.resolve[c.host] = []netip.Addr{netip.MustParseAddr(c.address)}
			w.dialled = nil
			w.mu.Unlock()
			w.server.Swap(w.table(`{"routes": []}`, 2)) // no kept connection tells of the row before
			w.server.Swap(w.table(`{"routes": [
				{"host": "db.example.com", "ports": [8443], "allow_private": ["10.0.0.0/8", "fd00::/8"]},
				{"host": "api.example.com", "ports": [443, 8443]}]}`, 3))
			resp, err := w.client(h2).Get(fmt.Sprintf("https://%s:%d/", c.host, c.port))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			want := netip.AddrPortFrom(netip.MustParseAddr(c.address), c.port)
			dials := w.dials()
			if resp.StatusCode != c.status || (len(dials) > 0) != c.dialled || c.dialled && dials[0] != want {
				t.Errorf("%s:%d at %s: %s, dialled %v", c.host, c.port, c.address, resp.Status, dials)
			}
		}
	}
}

// WebSockets that are held open take the bottle's own places, and only for a time.
func TestAttackHeldWebSockets(t *testing.T) {
	w := newWorld(t, bareAPI, func(_ *world, c *proxy.Config) {
		c.Limits.Connections, c.Limits.WebSocketIdle = 8, 700*time.Millisecond
	})
	w.upstream(webSocket, "api.example.com")
	hold := func(n int) (held int) {
		for range n {
			c := w.connectName("api.example.com", 80)
			io.WriteString(c, handshake)
			c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
			if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil && resp.StatusCode == http.StatusSwitchingProtocols {
				held++
			}
		}
		return held
	}
	plain := w.plainUpstream(webSocket)
	attack.Stopped(t, "W09", "more WebSockets than there are places",
		func(*testing.T) error {
			if n := hold(4); n != 4 {
				return fmt.Errorf("%d of 4 open", n)
			}
			return nil
		},
		func(*testing.T) error {
			if n := hold(30); n > 8 {
				return nil
			}
			return fmt.Errorf("%d closed at once", w.server.Stats().Overflow)
		})
	attack.Stopped(t, "W09", "a WebSocket without a frame",
		func(*testing.T) error {
			if len(plain.Requests()) < 4 {
				return errors.New("they never were there")
			}
			return nil
		},
		func(*testing.T) error {
			for range 60 {
				if w.server.Stats().Open == 0 {
					return errors.New("closed as idle")
				}
				time.Sleep(50 * time.Millisecond)
			}
			return nil
		})
}
