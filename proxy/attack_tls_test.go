package proxy_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"bottled/attack"
	"bottled/audit"
)

var attacker = netip.MustParseAddrPort("203.0.113.9:443")

// ask does one GET over a TLS connection that is there.
func ask(t *testing.T, c net.Conn, host, path string) string {
	return raw(t, c, "GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
}

func TestAttackOriginalDestination(t *testing.T) {
	w := newWorld(t, bareAPI)
	s := w.sink(443, okReply, "api.example.com")
	request := head + "\r\n"
	control := func(t *testing.T) error { return s.direct(t, request) }
	attack.Stopped(t, "S03", "allowed SNI, attacker's address", control, func(t *testing.T) error {
		c := tls.Client(w.connect(attacker), &tls.Config{ServerName: "api.example.com", RootCAs: w.trust()})
		defer c.Close()
		reply := raw(t, c, request)
		for _, d := range w.dials() {
			if d.Addr() == attacker.Addr() {
				return nil
			}
		}
		if !strings.HasPrefix(reply, "HTTP/1.1 200") {
			t.Errorf("client got %q", reply)
		}
		return fmt.Errorf("dialled %s, the name's own address", w.dials()[0])
	})
	attack.Stopped(t, "S04", "no SNI, attacker's address, allowed Host", control, func(t *testing.T) error {
		return s.through(t, tls.Client(w.connect(attacker), &tls.Config{InsecureSkipVerify: true}), request)
	})
	attack.Stopped(t, "S04", "no SNI, address as Host", control, func(t *testing.T) error {
		return s.through(t, tls.Client(w.connect(attacker), &tls.Config{InsecureSkipVerify: true}), "GET / HTTP/1.1\r\nHost: 203.0.113.9\r\n\r\n")
	})
}

func TestNoSNIAtSyntheticAddress(t *testing.T) {
	w := newWorld(t, bareAPI)
	w.sink(443, okReply, "api.example.com")
	c := tls.Client(w.connectName("api.example.com", 443), &tls.Config{InsecureSkipVerify: true})
	defer c.Close()
	if reply := ask(t, c, "api.example.com", "/"); !strings.HasPrefix(reply, "HTTP/1.1 200") {
		t.Fatalf("%q", reply)
	}
}

// The same name in other letters is the same name, with the same leaf.
func TestNameForms(t *testing.T) {
	w := newWorld(t, bareAPI)
	w.sink(443, okReply, "api.example.com")
	for sni, host := range map[string]string{"API.Example.COM": "api.example.com.", "api.example.com": "API.EXAMPLE.com:443"} {
		c := tls.Client(w.connectName("api.example.com", 443), &tls.Config{ServerName: sni, RootCAs: w.trust()})
		if reply := ask(t, c, host, "/"); !strings.HasPrefix(reply, "HTTP/1.1 200") {
			t.Errorf("SNI %q, Host %q: %q", sni, host, reply)
		}
		c.Close()
	}
}

// SNI bytes that are no host name end the handshake.
func TestAttackServerNames(t *testing.T) {
	w := newWorld(t, bareAPI)
	for _, name := range []string{"api.example.com\x00.evil.com", "api.example.com/x", "api_x.example.com", "api..example.com", strings.Repeat("a", 300) + ".com"} {
		attack.Stopped(t, "S07", fmt.Sprintf("SNI %.30q", name),
			func(t *testing.T) error { // crypto/tls alone takes it
				client, server := net.Pipe()
				defer client.Close()
				seen := make(chan string, 1)
				go func() {
					tls.Server(server, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
						seen <- h.ServerName
						return nil, errors.New("enough")
					}}).Handshake()
					server.Close()
				}()
				tls.Client(client, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake()
				if got := <-seen; got != name {
					return fmt.Errorf("server saw %q", got)
				}
				return nil
			},
			func(t *testing.T) error {
				c := tls.Client(w.connect(attacker), &tls.Config{ServerName: name, InsecureSkipVerify: true})
				defer c.Close()
				return c.Handshake()
			})
	}
}

func TestAttackResumption(t *testing.T) {
	w := newWorld(t, `{"routes": [{"host": "a.example.com"}, {"host": "b.example.com"}]}`)
	w.sink(443, okReply, "a.example.com", "b.example.com")
	cache := &oneSession{}
	dial := func(w *world, sni string) bool {
		c := tls.Client(w.connectName(sni, 443), &tls.Config{ServerName: sni, InsecureSkipVerify: true, ClientSessionCache: cache})
		defer c.Close()
		if reply := ask(t, c, sni, "/"); !strings.HasPrefix(reply, "HTTP/1.1 200") {
			t.Errorf("%q", reply)
		}
		return c.ConnectionState().DidResume
	}
	dial(w, "a.example.com")
	control := func(t *testing.T) error {
		if !dial(w, "a.example.com") {
			return errors.New("tickets do not resume at all")
		}
		return nil
	}
	attack.Stopped(t, "S12", "ticket of another SNI", control, func(t *testing.T) error {
		if dial(w, "b.example.com") {
			return nil
		}
		return errors.New("full handshake")
	})
	dial(w, "a.example.com")
	other := newWorld(t, bareAPI)
	other.sink(443, okReply, "api.example.com")
	attack.Stopped(t, "S12", "ticket of another bottle", control, func(t *testing.T) error {
		if dial(other, "api.example.com") {
			return nil
		}
		return errors.New("full handshake")
	})
}

// oneSession gives every server the last ticket it was given.
type oneSession struct{ s *tls.ClientSessionState }

func (o *oneSession) Get(string) (*tls.ClientSessionState, bool) { return o.s, o.s != nil }
func (o *oneSession) Put(_ string, cs *tls.ClientSessionState)   { o.s = cs }

// An upstream that is not who it says gets a ClientHello and nothing else.
func TestAttackUpstreamCertificate(t *testing.T) {
	for _, id := range []string{"S15", "C15"} {
		w := newWorld(t, injecting)
		good := w.sink(443, okReply, "api.example.com")
		control := func(t *testing.T) error {
			if reply := ask(t, w.tls("api.example.com", 443), "api.example.com", "/"); !strings.HasPrefix(reply, "HTTP/1.1 200") || !strings.Contains(good.text(), token) {
				return fmt.Errorf("%q", reply)
			}
			return nil
		}
		for name, evil := range map[string]func() *sink{
			"wrong name":   func() *sink { return w.sink(443, okReply, "evil.example.com") },
			"address only": func() *sink { return w.sink(443, okReply, "93.184.215.14") },
			"unknown authority": func() *sink {
				o := newWorld(t, bareAPI)
				s := o.sink(443, okReply, "api.example.com")
				w.at(443, s.l.Addr().String())
				return s
			},
			"no TLS at all": func() *sink { return w.sink(443, okReply) },
		} {
			attack.Stopped(t, id, name, control, func(t *testing.T) error {
				w.server.Swap(w.table(injecting, 2)) // no pooled connection
				s := evil()
				reply := ask(t, w.tls("api.example.com", 443), "api.example.com", "/")
				// What is not encrypted begins otherwise than a ClientHello, whose random bytes spell
				// everything sooner or later.
				if got := s.text(); got != "" && !strings.HasPrefix(got, "\x16\x03") || strings.Contains(got, token) {
					t.Logf("%q", got)
					return nil
				}
				if !strings.HasPrefix(reply, "HTTP/1.1 50") {
					t.Errorf("client got %q", reply)
				}
				w.at(443, good.l.Addr().String())
				return errors.New("no certificate, no request")
			})
		}
	}
}

// A credential never leaves without TLS.
func TestAttackClearText(t *testing.T) {
	w := newWorld(t, injecting)
	s := w.sink(443, okReply, "api.example.com")
	attack.Stopped(t, "S16", "clear text to an injecting route",
		func(t *testing.T) error { return w.plain(t, s, head+"\r\n") },
		func(t *testing.T) error {
			plain := w.sink(80, okReply)
			return plain.through(t, w.connectName("api.example.com", 80), head+"\r\n")
		})
	attack.Stopped(t, "S16", "HTTP on port 443",
		func(t *testing.T) error { return w.plain(t, s, head+"\r\n") },
		func(t *testing.T) error { return s.through(t, w.connectName("api.example.com", 443), head+"\r\n") })
}

// plain is the control for clear text: the bytes reach an upstream on port 80.
func (w *world) plain(t *testing.T, _ *sink, send string) error {
	return w.sink(80, okReply).direct(t, send)
}

func TestAttackMagicHost(t *testing.T) {
	w := newWorld(t, `{"routes": [{"host": "api.example.com"}, {"host": "*.evil.com"}]}`)
	s := w.sink(443, okReply, "api.example.com", "a.evil.com")
	w.sink(80, okReply)
	w.sink(8443, okReply, "api.example.com")
	control := func(t *testing.T) error {
		if _, body := w.get(w.client(false), "http://_egress-proxy.local/healthz"); !strings.Contains(body, "ok") {
			return fmt.Errorf("%q", body)
		}
		return s.direct(t, "GET /allowlist HTTP/1.1\r\nHost: _egress-proxy.local\r\n\r\n")
	}
	for name, probe := range map[string]struct {
		open       func() net.Conn
		host, path string
	}{
		"SNI magic, Host other":  {func() net.Conn { return w.tls("_egress-proxy.local", 443) }, "api.example.com", "/allowlist"},
		"Host magic, SNI other":  {func() net.Conn { return w.tls("api.example.com", 443) }, "_egress-proxy.local", "/allowlist"},
		"longer name":            {func() net.Conn { return w.connectName("api.example.com", 80) }, "_egress-proxy.local.evil.com", "/allowlist"},
		"odd port":               {func() net.Conn { return w.connectName("_egress-proxy.local", 8443) }, "_egress-proxy.local:8443", "/allowlist"},
		"port in Host":           {func() net.Conn { return w.connectName("_egress-proxy.local", 80) }, "_egress-proxy.local:8443", "/allowlist"},
		"other host at its door": {func() net.Conn { return w.connectName("_egress-proxy.local", 80) }, "api.example.com", "/allowlist"},
	} {
		attack.Stopped(t, "M10", name, control, func(t *testing.T) error {
			before := len(w.dials())
			c := probe.open()
			defer c.Close()
			reply := ask(t, c, probe.host, probe.path)
			if len(w.dials()) != before || strings.Contains(reply, `"routes"`) || strings.HasPrefix(reply, "HTTP/1.1 200") {
				return nil
			}
			line, _, _ := strings.Cut(reply, "\r\n")
			return errors.New(line)
		})
	}
	for _, url := range []string{"http://_EGRESS-PROXY.LOCAL/allowlist", "https://_egress-proxy.local/allowlist", "http://_egress-proxy.local./allowlist"} {
		resp, body := w.get(w.client(strings.HasPrefix(url, "https")), url)
		if resp.StatusCode != http.StatusOK || !strings.Contains(body, "api.example.com") {
			t.Errorf("%s: %v %q", url, resp.Status, body)
		}
	}
	for _, host := range w.asked {
		if strings.Contains(host, "egress-proxy") {
			t.Errorf("resolved %q", host)
		}
	}
	w.event(func(e audit.Event) bool { return e.Authority == "_egress-proxy.local" && e.Verdict == audit.Allow })
}
