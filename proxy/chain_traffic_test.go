package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"bottled/audit"
	"bottled/upstreamtest"
)

// oddPorts is a table of everything that a route can carry, on ports of no protocol.
const oddPorts = `{"routes": [{"host": "api.example.com", "ports": [9443, 8081]}, {"host": "db.example.com", "protocol": "tcp", "ports": [5433]},
	{"host": "pinned.example.com", "protocol": "tls-passthrough", "ports": [9443]}]}`

// Everything that a route can carry goes through a proxy at an address of either
// family, spoken to in the clear or in TLS, and nothing else is dialled.
func TestChainCarriesEverything(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
	for _, tc := range []struct {
		address, name string
		secure        bool
	}{{"127.0.0.1:0", "", false}, {"[::1]:0", "", false}, {"127.0.0.1:0", "proxy.example.net", true}, {"[::1]:0", "proxy.example.net", true}} {
		h := newHop(t, tc.address, tc.secure)
		w := newWorld(t, oddPorts, via(h, tc.name, basic, password))
		up := w.upstream(func(rw http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/ws":
				webSocket(rw, r)
			case "/big":
				rw.Write(big)
			case "/sum":
				sum := sha256.New()
				io.Copy(sum, r.Body)
				fmt.Fprintf(rw, "%x", sum.Sum(nil))
			default:
				io.WriteString(rw, r.Proto+" "+r.Host)
			}
		}, "api.example.com", "pinned.example.com")
		w.at(9443, up.Addr.String())
		plain := w.plainUpstream(echoHost)
		w.at(8081, plain.Addr.String())
		const site = "https://api.example.com:9443"

		for _, h2 := range []bool{false, true} {
			c := w.client(h2)
			if resp, body := w.get(c, site+"/"); resp.StatusCode != 200 || !strings.HasSuffix(body, " api.example.com:9443") {
				t.Errorf("%+v: %d %s", tc, resp.StatusCode, body)
			}
			if resp, body := w.get(c, site+"/big"); resp.StatusCode != 200 || body != string(big) {
				t.Errorf("%+v: a large body down: %d, %d bytes", tc, resp.StatusCode, len(body))
			}
			resp, err := c.Post(site+"/sum", "application/octet-stream", bytes.NewReader(big))
			if err != nil {
				t.Fatal(err)
			}
			sum, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if want := fmt.Sprintf("%x", sha256.Sum256(big)); string(sum) != want {
				t.Errorf("%+v: a large body up: %d %s, want %s", tc, resp.StatusCode, sum, want)
			}
		}
		if !slices.ContainsFunc(up.Requests(), func(r upstreamtest.Request) bool { return r.Proto == "HTTP/2.0" }) {
			t.Errorf("%+v: the upstream is never spoken to in HTTP/2", tc)
		}
		if resp, body := w.get(w.client(false), "http://api.example.com:8081/"); resp.StatusCode != 200 || body != "api.example.com:8081" {
			t.Errorf("%+v: http: %d %s", tc, resp.StatusCode, body)
		}

		ws := w.tls("api.example.com", 9443, "http/1.1")
		io.WriteString(ws, strings.Replace(handshake, "Host: api.example.com", "Host: api.example.com:9443", 1))
		in := bufio.NewReader(ws)
		if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != 101 {
			t.Fatalf("%+v: WebSocket: %v, %v", tc, resp, err)
		}
		hello := make([]byte, 7)
		if _, err := io.ReadFull(in, hello); err != nil || string(hello) != "\x81\x05hello" {
			t.Errorf("%+v: WebSocket: %q, %v", tc, hello, err)
		}
		ws.Close()

		w.carriesOpaque(tc.name)
		w.carriesExplicit(site)

		for _, head := range h.Heads() {
			authority, _, _ := strings.Cut(strings.TrimPrefix(head, "CONNECT "), " ")
			if !slices.Contains([]string{"api.example.com:9443", "api.example.com:8081", "db.example.com:5433", "pinned.example.com:9443"}, authority) {
				t.Errorf("%+v: the proxy was asked for %q", tc, head)
			}
		}
		for _, d := range w.dials() {
			if d != h.Addr {
				t.Errorf("%+v: %v was dialled", tc, d)
			}
		}
		w.mu.Lock()
		for _, name := range w.asked {
			if name != tc.name+"." {
				t.Errorf("%+v: %q was looked up here", tc, name)
			}
		}
		w.mu.Unlock()
		w.event(func(e audit.Event) bool { return e.Verdict == audit.Allow && e.Dialled == h.Addr && e.Protocol == "ws" })
	}
}

// carriesOpaque tries opaque TCP with half-closes, and TLS that is not opened.
func (w *world) carriesOpaque(proxy string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	defer l.Close()
	w.at(5433, l.Addr().String())
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, "banner\n")
		all, _ := io.ReadAll(c) // until the client's FIN
		fmt.Fprintf(c, "got %d", len(all))
	}()
	c := w.connectName("db.example.com", 5433)
	in := bufio.NewReader(c)
	if line, err := in.ReadString('\n'); line != "banner\n" {
		w.t.Errorf("through %q, tcp: %q, %v", proxy, line, err)
	}
	c.Write(make([]byte, 1<<20))
	c.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(in); err != nil || string(rest) != "got 1048576" {
		w.t.Errorf("through %q, tcp: %q, %v", proxy, rest, err)
	}
	secure := tls.Client(w.connectName("pinned.example.com", 9443), &tls.Config{ServerName: "pinned.example.com", RootCAs: w.authority.Pool()})
	if err := secure.Handshake(); err != nil { // against the upstream's own certificate
		w.t.Errorf("through %q, tls-passthrough: %v", proxy, err)
	}
	secure.Close()
}

// carriesExplicit asks as a program does that has HTTPS_PROXY set, and says whom it
// thinks it is to the wrong proxy.
func (w *world) carriesExplicit(site string) {
	w.t.Helper()
	own := &url.URL{Scheme: "http", Host: "_egress-proxy.local:3128", User: url.UserPassword("me", "mine")}
	tr := &http.Transport{
		Proxy: http.ProxyURL(own), TLSClientConfig: &tls.Config{RootCAs: w.trust()}, DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return w.connectName("_egress-proxy.local", 3128), nil
		},
	}
	if resp, body := w.get(&http.Client{Transport: tr, Timeout: 20 * time.Second}, site+"/"); resp.StatusCode != 200 {
		w.t.Errorf("explicit: %d %s", resp.StatusCode, body)
	}
}

// What a proxy puts behind its 200 is the tunnel's: where that is TLS it is nobody's
// answer.
func TestChainThatSpeaksFirst(t *testing.T) {
	const fake = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
	h := newHop(t, "127.0.0.1:0", false)
	h.Answer = func(c net.Conn, head string) bool {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"+fake)
		io.Copy(io.Discard, c)
		return true
	}
	w := newWorld(t, bareAPI, via(h, "", nil, nil))
	up := w.upstream(echoHost, "api.example.com")
	for _, h2 := range []bool{false, true} {
		if resp, body := w.get(w.client(h2), api); resp.StatusCode != 502 || strings.Contains(body, "forged") {
			t.Errorf("h2 %v: %d %s", h2, resp.StatusCode, body)
		}
	}
	if up.Opened() != 0 {
		t.Error("the upstream was reached directly")
	}
}

// A table that no longer has the route ends what goes through the proxy.
func TestChainIsCutWithItsRoute(t *testing.T) {
	h := newHop(t, "127.0.0.1:0", true)
	w := newWorld(t, bareAPI, via(h, "proxy.example.net", basic, password))
	w.upstream(halfAnswer, "api.example.com")
	resp, err := w.client(false).Get(api + "half")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	w.server.Swap(w.table(`{"routes": []}`, 2))
	if rest, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("it came to a proper end after %q", rest)
	}
	before := len(h.Heads())
	if resp, _ := w.get(w.client(false), api); resp.StatusCode != 403 || len(h.Heads()) != before {
		t.Errorf("%s, and the proxy was asked %q", resp.Status, h.Heads()[before:])
	}
}
