package proxy_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"bottled/audit"
	"bottled/dlp"
	"bottled/proxy"
	"bottled/routes"
)

// onPorts is a table for upstreams on the ports of the test.
func onPorts(https, http, tcp uint16) string {
	return fmt.Sprintf(`{"routes": [{"host": "api.example.com", "ports": [%d, %d]}, {"host": "db.example.com", "ports": [%d], "protocol": "tcp"}, {"host": "10.9.8.7"},
		{"host": "pass.example.com", "ports": [%d], "protocol": "tls-passthrough"}]}`, https, http, tcp, https)
}

// Requests in TLS and in the clear, WebSockets and opaque streams go through a
// plain proxy, and nothing goes another way.
func TestChainPlain(t *testing.T) {
	e := tinyproxy(t, "")
	greeter, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer greeter.Close()
	go func() {
		for {
			c, err := greeter.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "SSH-2.0-server\r\n") // at once: it comes with the answer to the CONNECT
			line, _ := bufio.NewReader(c).ReadString('\n')
			io.WriteString(c, "got "+line)
			c.Close()
		}
	}()
	tcp := greeter.Addr().(*net.TCPAddr).AddrPort().Port()
	first := newWorld(t, bareAPI)
	secure := first.upstream(echoHost, "api.example.com", "pass.example.com")
	plain := first.plainUpstream(echoHost)
	w := newWorld(t, onPorts(secure.Addr.Port(), plain.Addr.Port(), tcp), chained(e, false), func(_ *world, c *proxy.Config) { c.Roots = first.authority.Pool })
	for _, h2 := range []bool{false, true} {
		for scheme, port := range map[string]string{"https": secure.Port(), "http": plain.Port()} {
			if resp, body := w.get(w.client(h2), scheme+"://api.example.com:"+port+"/a?b"); resp.StatusCode != 200 || body != "api.example.com:"+port {
				t.Errorf("%s: %d %q", scheme, resp.StatusCode, body)
			}
			if log := e.logged(t); !strings.Contains(log, "CONNECT api.example.com:"+port) {
				t.Errorf("the proxy's log: %s", log)
			}
		}
	}
	c := w.connectName("db.example.com", tcp)
	in := bufio.NewReader(c)
	if line, err := in.ReadString('\n'); line != "SSH-2.0-server\r\n" {
		t.Errorf("opaque: %q, %v", line, err)
	}
	io.WriteString(c, "hello\n")
	if line, err := in.ReadString('\n'); line != "got hello\n" {
		t.Errorf("opaque: %q, %v", line, err)
	}
	c.Close()
	pass := tls.Client(w.connectName("pass.example.com", secure.Addr.Port()), &tls.Config{ServerName: "pass.example.com", RootCAs: first.authority.Pool()})
	if err := pass.Handshake(); err != nil {
		t.Errorf("passed through, to the upstream's own certificate: %v", err)
	}
	pass.Close()
	w.indirect(e.on(e.port))
	if got := len(secure.Requests()) + len(plain.Requests()); got != 4 {
		t.Errorf("%d requests reached the upstreams", got)
	}
	ev := w.event(func(e audit.Event) bool { return e.Scheme == "https" })
	if ev.Dialled.Port() != e.port || ev.Verdict != audit.Allow {
		t.Errorf("%+v", ev)
	}
	// An address that the table names is still no private one, also for the proxy.
	if resp, body := w.get(w.client(false), "http://10.9.8.7/"); resp.StatusCode != 403 || !strings.Contains(body, "address-not-allowed") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

func echoHost(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, r.Host) }

// A proxy that intercepts: its authority is trusted through it, and only where the
// manifest says so. Scanning and the credential work as without it.
func TestChainIntercepting(t *testing.T) {
	first := newWorld(t, bareAPI)
	up := first.upstream(echoHost, "api.example.com")
	e := squid(t, first.authority.PEM(), "http_access allow all")
	url := "https://api.example.com:" + up.Port() + "/a?b"
	through := func(secure bool, roots *x509.CertPool, more ...option) *world {
		return newWorld(t, onPorts(up.Addr.Port(), 1, 2), append([]option{chained(e, secure), func(_ *world, c *proxy.Config) { c.Roots = func() *x509.CertPool { return roots } }}, more...)...)
	}
	for _, secure := range []bool{false, true} {
		roots := e.ca
		if secure {
			roots = first.authority.Pool() // that port does not intercept
		}
		w := through(secure, roots, screened(routes.DLP{}, dlp.Limits{}))
		if resp, body := w.get(w.client(true), url); resp.StatusCode != 200 || body != "api.example.com:"+up.Port() {
			t.Fatalf("in TLS %v: %d %s", secure, resp.StatusCode, body)
		}
		before := len(up.Requests())
		if err := leave(w, false, request("POST", url, strings.NewReader(canary)))(t); err == nil || strings.Contains(fmt.Sprint(up.Requests()[before:]), canary) {
			t.Errorf("in TLS %v: the canary left", secure)
		}
		if secure {
			w.indirect(e.on(e.tlsPort))
		} else {
			w.indirect(e.on(e.port))
		}
	}
	if log := e.logged(t); !strings.Contains(log, "CONNECT api.example.com:"+up.Port()) || !strings.Contains(log, "GET "+url[:len(url)-2]) {
		t.Errorf("it did not intercept: %s", log)
	}
	// Without its authority, neither it nor what it presents is believed.
	w := through(false, first.authority.Pool())
	if resp, body := w.get(w.client(false), url); resp.StatusCode != 502 || !strings.Contains(body, "upstream-certificate") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	w = through(true, first.authority.Pool(), func(_ *world, c *proxy.Config) { c.Upstream.Roots = first.authority.Pool() })
	if resp, body := w.get(w.client(false), url); resp.StatusCode != 502 || !strings.Contains(body, "its certificate does not verify") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	// Trusted on that leg only: a bottle without the proxy does not believe it.
	w = newWorld(t, onPorts(up.Addr.Port(), 1, 2))
	w.at(up.Addr.Port(), up.Addr.String())
	if resp, body := w.get(w.client(false), url); resp.StatusCode != 502 || !strings.Contains(body, "upstream-certificate") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}
