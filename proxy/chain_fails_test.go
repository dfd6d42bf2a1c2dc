package proxy_test

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"bottled/audit"
	"bottled/proxy"
	"bottled/routes"
	"bottled/upstreamtest"
)

// What goes wrong with the proxy is a 502 or 504 that says so in our own words, soon,
// and nothing goes direct.
func TestChainFailsClosed(t *testing.T) {
	say := func(text string) func(net.Conn, string) bool {
		return func(c net.Conn, _ string) bool { io.WriteString(c, text); return true }
	}
	silent := func(c net.Conn, _ string) bool { io.Copy(io.Discard, c); return true }
	dripping := func(c net.Conn, _ string) bool {
		for _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n"); err == nil; time.Sleep(5 * time.Millisecond) {
			_, err = io.WriteString(c, "A: b\r\n")
		}
		return true
	}
	for _, tc := range []struct {
		name   string
		answer func(net.Conn, string) bool
		status int
		says   string
	}{
		{"refuses", say("HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nWORDS"), 502, "answered 403"},
		{"redirects", say("HTTP/1.1 302 Found\r\nLocation: http://evil.example.com/WORDS\r\n\r\n"), 502, "answered 302"},
		{"switches", say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: WORDS\r\n\r\n"), 502, "answered 101"},
		{"goes on", say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), 502, "answered 100"},
		{"no HTTP", say("SSH-2.0-WORDS\r\n"), 502, "not one of HTTP/1"},
		{"HTTP/2", say("HTTP/2.0 200 OK\r\n\r\n"), 502, "not one of HTTP/1"},
		{"HTTP/0", say("HTTP/0.9 200 OK\r\n\r\n"), 502, "not one of HTTP/1"},
		{"TLS", say("\x15\x03\x01\x00\x02\x02\x46"), 502, "not one of HTTP/1"},
		{"closes", say(""), 502, "not one of HTTP/1"},
		{"half a head", say("HTTP/1.1 200 OK\r\nX-WORDS"), 502, "not one of HTTP/1"},
		{"no status", say("HTTP/1.1 two hundred\r\n\r\n"), 502, "not one of HTTP/1"},
		{"a field without name", say("HTTP/1.1 200 OK\r\n: WORDS\r\n\r\n"), 502, "not one of HTTP/1"},
		{"one long field", say("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 70<<10) + "\r\n\r\n"), 502, "64 KiB"},
		{"many fields", say("HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 14<<10) + "\r\n"), 502, "64 KiB"},
		{"one long line", say(strings.Repeat("H", 70<<10)), 502, "64 KiB"},
		{"says nothing", silent, 504, "in time"},
		{"drips", dripping, 504, "in time"},
	} {
		for _, secure := range []bool{false, true} {
			h := newHop(t, "127.0.0.1:0", secure)
			h.Answer = tc.answer
			name := ""
			if secure {
				name = "proxy.example.net"
			}
			w := newWorld(t, bareAPI, via(h, name, basic, password), func(_ *world, c *proxy.Config) { c.Limits.Dial = 150 * time.Millisecond })
			if tc.status != 504 {
				w = newWorld(t, bareAPI, via(h, name, basic, password))
			}
			up := w.upstream(echoHost, "api.example.com")
			resp, body := w.get(w.client(secure), api)
			if resp.StatusCode != tc.status || !strings.Contains(body, `"upstream-proxy"`) || !strings.Contains(body, tc.says) {
				t.Errorf("%s, TLS %v: %d %s", tc.name, secure, resp.StatusCode, body)
			}
			if strings.Contains(body, "WORDS") || proxySecretIn(body) {
				t.Errorf("%s, TLS %v: the bottle is told %s", tc.name, secure, body)
			}
			if up.Opened() != 0 {
				t.Errorf("%s, TLS %v: the upstream was reached directly", tc.name, secure)
			}
			for _, d := range w.dials() {
				if d != h.Addr {
					t.Errorf("%s: %v was dialled", tc.name, d)
				}
			}
		}
	}
}

// A proxy that cannot be reached, or is not who it should be, gets nothing.
func TestChainToNobody(t *testing.T) {
	h := newHop(t, "127.0.0.1:0", true)
	gone := newHop(t, "127.0.0.1:0", false)
	down := &hop{Proxy: &upstreamtest.Proxy{Addr: netip.AddrPortFrom(gone.Addr.Addr(), freePort(t))}}
	for _, tc := range []struct {
		name string
		h    *hop
		as   string
		says string
		code string
	}{
		{"down", down, "", "no connection to it", "upstream-proxy"},
		{"another name", h, "other.example.net", "its certificate does not verify", "upstream-proxy"},
		{"by address", h, "", "its certificate does not verify", "upstream-proxy"},
	} {
		w := newWorld(t, bareAPI, via(tc.h, tc.as, basic, password))
		up := w.upstream(echoHost, "api.example.com")
		if resp, body := w.get(w.client(false), api); resp.StatusCode != 502 || !strings.Contains(body, `"`+tc.code+`"`) || !strings.Contains(body, tc.says) {
			t.Errorf("%s: %d %s", tc.name, resp.StatusCode, body)
		}
		if up.Opened() != 0 {
			t.Errorf("%s: the upstream was reached directly", tc.name)
		}
		if text := strings.Join(tc.h.Heads(), ""); strings.Contains(text, "CONNECT") || proxySecretIn(text) {
			t.Errorf("%s: it was told %q", tc.name, text)
		}
	}
	// No TLS at all where it should be.
	w := newWorld(t, bareAPI, via(gone, "proxy.example.net", basic, password), func(_ *world, c *proxy.Config) { c.Upstream.TLS, c.Limits.Dial = true, 300*time.Millisecond })
	if resp, body := w.get(w.client(false), api); resp.StatusCode < 502 || !strings.Contains(body, `"upstream-proxy"`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if text := strings.Join(gone.Heads(), ""); strings.Contains(text, "CONNECT") || proxySecretIn(text) {
		t.Errorf("in the clear it was told %q", text)
	}
	for _, address := range []string{"169.254.169.254:80", "[fd00:ec2::254]:80"} {
		w := newWorld(t, bareAPI, func(w *world, c *proxy.Config) {
			a, err := routes.ParseAuthority(address, 0)
			if err != nil {
				t.Fatal(err)
			}
			c.Upstream = &proxy.Upstream{Authority: a}
			w.at(80, "127.0.0.1:1")
		})
		if resp, body := w.get(w.client(false), api); resp.StatusCode != 403 || len(w.dials()) > 0 {
			t.Errorf("a metadata service as the proxy: %d %s, dialled %v", resp.StatusCode, body, w.dials())
		}
	}
}

// A proxy that dies in the middle of a response leaves one that is visibly broken, and
// the next request makes a tunnel of its own.
func TestChainThatDiesInTheMiddle(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		h := newHop(t, "127.0.0.1:0", false)
		w := newWorld(t, bareAPI, via(h, "", nil, nil))
		w.upstream(halfAnswer, "api.example.com")
		resp, err := w.client(h2).Get(api + "half")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		h.Cut()
		if rest, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("h2 %v: the response came to a proper end after %q", h2, rest)
		}
		resp.Body.Close()
		w.event(func(e audit.Event) bool { return e.Path.String() == "/half" && e.Reason == "upstream-failed" })
		if resp, body := w.get(w.client(h2), api); resp.StatusCode != 200 || body != "begun" {
			t.Errorf("h2 %v: %d %s", h2, resp.StatusCode, body)
		}
	}
}

// halfAnswer never ends its answer to /half.
func halfAnswer(rw http.ResponseWriter, r *http.Request) {
	flushed(rw, "begun")
	if r.URL.Path == "/half" {
		<-r.Context().Done()
	}
}
