package proxy_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"bottled/attack"
	"bottled/proxy"
	"bottled/routes"
	"bottled/secret"
)

const (
	proxyUser     = "bottled"
	proxyPassword = "pr0xy-P4ssw0rd-c7E4"
)

var (
	basic = &routes.Auth{Scheme: "Basic", Username: proxyUser, Slot: routes.ProxySlot}
	pair  = base64.StdEncoding.EncodeToString([]byte(proxyUser + ":" + proxyPassword))
)

func password() string { return proxyPassword }

// tokenOf is a source of tokens; a value of "" is none.
func tokenOf(value func() string) func() (secret.Token, bool) {
	if value == nil {
		return nil
	}
	return func() (secret.Token, bool) {
		t, err := secret.New([]byte(value()))
		return t, err == nil
	}
}

// proxySecretIn reports whether the proxy's credential is in a text.
func proxySecretIn(text string) bool {
	return strings.Contains(text, proxyPassword) || strings.Contains(text, pair)
}

// The credential goes to the proxy, byte for byte as it should, and nowhere else; what
// the bottle says to a proxy goes nowhere at all.
func TestChainCredential(t *testing.T) {
	for _, tc := range []struct {
		address, name string
		secure        bool
		auth          *routes.Auth
		want          string
	}{
		{"127.0.0.1:0", "", false, nil, ""},
		{"127.0.0.1:0", "", false, basic, "Basic " + pair},
		{"[::1]:0", "", false, &routes.Auth{Scheme: "Bearer", Slot: routes.ProxySlot}, "Bearer " + proxyPassword},
		{"127.0.0.1:0", "proxy.example.net", true, basic, "Basic " + pair},
		{"[::1]:0", "proxy.example.net", true, basic, "Basic " + pair},
	} {
		h := newHop(t, tc.address, tc.secure)
		w := newWorld(t, bareAPI, via(h, tc.name, tc.auth, password))
		up := w.upstream(echoHost, "api.example.com")
		plain := w.plainUpstream(echoHost)
		mine := request("GET", api, nil, "Proxy-Authorization", "Basic bWluZTptaW5l", "Proxy-Connection", "keep-alive")
		for _, h2 := range []bool{false, true} {
			resp, err := w.client(h2).Do(mine(t))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != 200 {
				t.Fatalf("%+v: %s", tc, resp.Status)
			}
		}
		if resp, body := w.get(w.client(false), "http://api.example.com/"); resp.StatusCode != 200 {
			t.Fatalf("%+v: %d %s", tc, resp.StatusCode, body)
		}
		explicit := raw(t, w.connect(netip.AddrPortFrom(magicAddr, 80)), "CONNECT api.example.com:80 HTTP/1.1\r\nHost: api.example.com:80\r\nProxy-Authorization: Basic bWluZTptaW5l\r\n\r\n"+
			"GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n")
		if !strings.Contains(explicit, "HTTP/1.1 200 OK") {
			t.Errorf("%+v: an explicit proxy in the bottle: %q", tc, explicit)
		}
		line := ""
		if tc.want != "" {
			line = "Proxy-Authorization: " + tc.want + "\r\n"
		}
		seen := map[string]bool{}
		for _, head := range h.Heads() {
			port := "443"
			if strings.Contains(head, ":80 ") {
				port = "80"
			}
			seen[port] = true
			if want := "CONNECT api.example.com:" + port + " HTTP/1.1\r\nHost: api.example.com:" + port + "\r\n" + line + "\r\n"; head != want {
				t.Errorf("%+v: the proxy got %q, want %q", tc, head, want)
			}
		}
		if !seen["443"] || !seen["80"] {
			t.Errorf("%+v: the proxy got %q", tc, h.Heads())
		}
		for _, r := range append(up.Requests(), plain.Requests()...) {
			if text := fmt.Sprint(r); proxySecretIn(text) || strings.Contains(text, "Proxy-") {
				t.Errorf("%+v: the upstream got %s", tc, text)
			}
		}
		w.mu.Lock()
		if text := fmt.Sprintf("%+v", w.events); proxySecretIn(text) {
			t.Errorf("%+v: the audit has it: %s", tc, text)
		}
		w.mu.Unlock()
		for _, d := range w.dials() {
			if d != h.Addr {
				t.Errorf("%+v: %v was dialled", tc, d)
			}
		}
	}
}

// The credential is asked for at each CONNECT: one that was renewed is shown from then
// on, and without one nothing is said to the proxy.
func TestChainCredentialIsAskedForEachTime(t *testing.T) {
	var now atomic.Pointer[string]
	set := func(s string) { now.Store(&s) }
	h := newHop(t, "127.0.0.1:0", false)
	w := newWorld(t, bareAPI, via(h, "", &routes.Auth{Scheme: "Bearer", Slot: routes.ProxySlot}, func() string { return *now.Load() }))
	up := w.upstream(func(rw http.ResponseWriter, _ *http.Request) { rw.Header().Set("Connection", "close") }, "api.example.com")
	for _, value := range []string{"first", "second"} {
		set(value)
		if resp, body := w.get(w.client(false), api); resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
		if heads := h.Heads(); !strings.Contains(heads[len(heads)-1], "Proxy-Authorization: Bearer "+value+"\r\n") {
			t.Errorf("%q", heads)
		}
	}
	before := up.Opened()
	set("")
	resp, body := w.get(w.client(false), api)
	if resp.StatusCode != 502 || !strings.Contains(body, `"credential-missing"`) || !strings.Contains(body, "upstream_proxy "+h.Addr.String()) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if heads := h.Heads(); strings.Contains(strings.Join(heads[2:], ""), "CONNECT") || up.Opened() != before {
		t.Errorf("the proxy was told %q, and the upstream has %d connections", heads[2:], up.Opened()-before)
	}
}

// What the proxy says of the credential, the bottle is told in our words: not its
// challenge, and nothing that it sends along.
func TestAttackChainChallenge(t *testing.T) {
	h := newHop(t, "127.0.0.1:0", false)
	const challenge = "HTTP/1.1 407 Give me your password\r\nProxy-Authenticate: Basic realm=\"phish\"\r\nSet-Cookie: a=b\r\nContent-Length: 5\r\n\r\nphish"
	control := func(*testing.T) error {
		c, err := net.Dial("tcp", h.Addr.String())
		if err != nil {
			return err
		}
		defer c.Close()
		fmt.Fprintf(c, "CONNECT api.example.com:443 HTTP/1.1\r\n\r\n")
		if text, err := io.ReadAll(c); err != nil || !strings.Contains(string(text), "phish") {
			return fmt.Errorf("%q, %v", text, err)
		}
		return nil
	}
	h.Answer = func(c net.Conn, _ string) bool { io.WriteString(c, challenge); return true }
	for _, auth := range []*routes.Auth{nil, basic} {
		w := newWorld(t, bareAPI, via(h, "", auth, password))
		up := w.upstream(echoHost, "api.example.com")
		attack.Stopped(t, "C22", fmt.Sprintf("a proxy's challenge, credential %v", auth != nil), control, func(*testing.T) error {
			resp, body := w.get(w.client(false), api)
			text := fmt.Sprint(resp.Header) + body
			if strings.Contains(text, "phish") || strings.Contains(text, "Proxy-Auth") || resp.Header["Set-Cookie"] != nil || proxySecretIn(text) {
				return nil
			}
			if resp.StatusCode != 502 || !strings.Contains(body, `"upstream-proxy-auth"`) || up.Opened() != 0 {
				return nil
			}
			return fmt.Errorf("502 %s", body)
		})
	}
}

// passwords is what squid needs to know one user.
func passwords(t *testing.T) string {
	t.Helper()
	hash, err := exec.Command("openssl", "passwd", "-6", proxyPassword).Output()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(home(t, "proxy"), "users")
	if err := os.WriteFile(file, []byte(proxyUser+":"+string(hash)), 0o644); err != nil {
		t.Fatal(err)
	}
	return "auth_param basic program /usr/lib/squid/basic_ncsa_auth " + file +
		"\nauth_param basic children 1 startup=1\nacl known proxy_auth REQUIRED\nhttp_access allow known\nhttp_access deny all"
}

// Both real proxies, with the credential, with a wrong one and with none. squid
// intercepts, and is spoken to in the clear and in TLS.
func TestChainCredentialOfRealProxies(t *testing.T) {
	first := newWorld(t, bareAPI)
	up := first.upstream(echoHost, "api.example.com")
	url := "https://api.example.com:" + up.Port() + "/a?b"
	tiny := tinyproxy(t, "BasicAuth "+proxyUser+" "+proxyPassword+"\n")
	squid := squid(t, first.authority.PEM(), passwords(t))
	for _, tc := range []struct {
		name   string
		e      *external
		secure bool
		roots  bool // the upstream's own, as nobody intercepts
	}{{"tinyproxy", tiny, false, true}, {"squid", squid, false, false}, {"squid in TLS", squid, true, true}} {
		through := func(auth *routes.Auth, token string) *world {
			return newWorld(t, onPorts(up.Addr.Port(), 1, 2), chained(tc.e, tc.secure), func(_ *world, c *proxy.Config) {
				c.Roots, c.Upstream.Auth, c.Upstream.Token = func() *x509.CertPool { return tc.e.ca }, auth, tokenOf(func() string { return token })
				if tc.roots {
					c.Roots = first.authority.Pool
				}
			})
		}
		before := len(up.Requests())
		w := through(basic, proxyPassword)
		for _, h2 := range []bool{false, true} {
			if resp, body := w.get(w.client(h2), url); resp.StatusCode != 200 || body != "api.example.com:"+up.Port() {
				t.Errorf("%s: %d %s", tc.name, resp.StatusCode, body)
			}
		}
		for _, r := range up.Requests()[before:] {
			if text := fmt.Sprint(r); proxySecretIn(text) || strings.Contains(text, "Proxy-Auth") {
				t.Errorf("%s: the upstream got %s", tc.name, text)
			}
		}
		before = len(up.Requests())
		for _, auth := range []*routes.Auth{basic, nil} {
			w := through(auth, "wrong")
			resp, body := w.get(w.client(false), url)
			if resp.StatusCode != 502 || !strings.Contains(body, `"upstream-proxy-auth"`) || strings.Contains(fmt.Sprint(resp.Header), "Proxy-") {
				t.Errorf("%s, credential %v: %d %s %v", tc.name, auth != nil, resp.StatusCode, body, resp.Header)
			}
		}
		if got := len(up.Requests()) - before; got != 0 {
			t.Errorf("%s: without the right credential %d requests reached the upstream", tc.name, got)
		}
	}
}

// A program in the bottle says to its proxy who it would like to be: by the userinfo of
// HTTPS_PROXY, and in a field of its request.
func TestAttackChainOwnCredential(t *testing.T) {
	const mine = "bWU6bWluZQ==" // me:mine
	h := newHop(t, "127.0.0.1:0", false)
	w := newWorld(t, bareAPI, via(h, "", basic, password))
	up := w.upstream(echoHost, "api.example.com")
	ask := func(c *http.Client) error {
		defer c.CloseIdleConnections()
		told, reached := len(h.Heads()), len(up.Requests())
		req := request("GET", api, nil, "Proxy-Authorization", "Basic "+mine)(t)
		resp, err := c.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if heads := h.Heads()[told:]; strings.Contains(strings.Join(heads, ""), mine) {
			return nil
		}
		for _, r := range up.Requests()[reached:] {
			if strings.Contains(fmt.Sprint(r.Header), mine) {
				return nil
			}
		}
		return fmt.Errorf("%s, and it reached nobody", resp.Status)
	}
	through := func(proxy string, dial func(context.Context, string, string) (net.Conn, error), roots *x509.CertPool) *http.Client {
		return &http.Client{Transport: &http.Transport{
			Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: proxy, User: url.UserPassword("me", "mine")}),
			TLSClientConfig: &tls.Config{RootCAs: roots}, DialContext: dial,
		}}
	}
	control := func(*testing.T) error { return ask(through(h.Addr.String(), nil, w.authority.Pool())) }
	attack.Stopped(t, "C04", "a proxy's credential of the bottle's own, to its explicit proxy", control, func(*testing.T) error {
		return ask(through("_egress-proxy.local:3128", func(context.Context, string, string) (net.Conn, error) {
			return w.connectName("_egress-proxy.local", 3128), nil
		}, w.trust()))
	})
	attack.Stopped(t, "C04", "a proxy's credential of the bottle's own, in a request", control, func(*testing.T) error { return ask(w.client(true)) })
}
