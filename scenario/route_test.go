package scenario

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bottled/api"
	"bottled/upstreamtest"
)

const token = "s3cret-bearer-token-of-the-operator"

const apiRoute = `
- host: api.example.com
  path_allowlist: ["/repos/acme/", "/user"]
  auth: {scheme: Bearer, token_ref: API_TOKEN}
  allow_private: [127.0.0.0/8, "::1/128"]
  ports: [443, 8443]
`

// TestARouteIsWhatABottleReaches has one route, with paths, ports and a credential.
func TestARouteIsWhatABottleReaches(t *testing.T) {
	w := newWorld(t)
	up := w.https(t, "api.example.com", greet)
	odd := w.httpsOn(t, "api.example.com", up.Addr.Addr(), 8443, greet)
	closed := w.httpsOn(t, "api.example.com", up.Addr.Addr(), 9443, greet)
	plain, err := upstreamtest.Plain(netip.AddrPortFrom(up.Addr.Addr(), 80).String(), greet)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	b := bottle{manifest: w.manifest(apiRoute), env: []string{"API_TOKEN=" + token}}
	curl := "curl -sS -o /dev/null -w '%{http_code} %{http_version}\\n' "
	for _, c := range []struct{ name, args, want string }{
		{"h2", "https://api.example.com/user", "200 2"},
		{"h1", "--http1.1 https://api.example.com/user/keys", "200 1.1"},
		{"another listed path", "https://api.example.com/repos/acme/x", "200 2"},
		{"another listed port", "https://api.example.com:8443/user", "200 2"},
		{"a path that only begins so", "https://api.example.com/users", "403 2"},
		{"a path beside it", "https://api.example.com/repos/acmeville", "403 2"},
		{"dots", "--path-as-is https://api.example.com/user/../admin", "400 2"},
		{"encoded dots", "--path-as-is https://api.example.com/user/%2e%2e/admin", "400 2"},
		{"another port", "https://api.example.com:9443/user", "403 2"},
		{"in the clear", "http://api.example.com/user", "403 1.1"},
		{"a front", "-H 'Host: other.example.com' https://api.example.com/user", "421 2"},
		{"an address", "-k https://" + up.Addr.Addr().String() + "/user", "000 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			upstreams := []*upstreamtest.Server{up, odd, closed, plain}
			before := counts(upstreams)
			r := w.sh(t, b, curl+c.args)
			if strings.TrimSpace(r.stdout) != c.want {
				t.Errorf("%v; want %s", r, c.want)
			}
			arrived := counts(upstreams) - before
			if want := strings.HasPrefix(c.want, "200"); want != (arrived == 1) {
				t.Errorf("%d requests reached an upstream", arrived)
			}
		})
	}
	for _, r := range append(up.Requests(), odd.Requests()...) {
		if got := r.Header.Values("Authorization"); len(got) != 1 || got[0] != "Bearer "+token {
			t.Errorf("%s %s came with %q", r.Method, r.Target, got)
		}
		if r.Host != "api.example.com" && r.Host != "api.example.com:8443" {
			t.Errorf("Host: %s", r.Host)
		}
	}

	t.Run("the agent's own credential", func(t *testing.T) {
		r := w.sh(t, b, `for v in --http1.1 --http2; do
			curl -sS $v -H 'Authorization: Bearer stolen' https://api.example.com/user
			curl -sS $v -H 'Connection: Authorization' -H 'Authorization: Bearer stolen' https://api.example.com/user
		done; env`)
		if r.code != 0 || strings.Contains(r.stdout, token) {
			t.Errorf("%v", r)
		}
		for _, req := range up.Requests() {
			if got := req.Header.Values("Authorization"); len(got) != 1 || got[0] != "Bearer "+token {
				t.Errorf("%s came with %q", req.Target, got)
			}
		}
	})
	t.Run("what is told of it", func(t *testing.T) {
		for _, want := range []string{`"injected":true`, `"reason":"path-not-allowed"`, `"comm":"curl"`, `"verdict":"deny"`} {
			eventually(t, "the audit log has "+want, 10*time.Second, func() error {
				text, err := os.ReadFile(w.audit)
				if err == nil && !strings.Contains(string(text), want) {
					err = fmt.Errorf("%s", clip(string(text)))
				}
				return err
			})
		}
		text, err := os.ReadFile(w.audit)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text)+string(w.said()), token) {
			t.Error("the token is in a log")
		}
	})
	t.Run("a bottle without the route", func(t *testing.T) {
		before := up.Opened()
		r := w.sh(t, bottle{manifest: w.only("other.example.com")}, "curl -sS https://api.example.com/user; curl -sS http://_egress-proxy.local/allowlist")
		if !strings.Contains(r.stdout, "host-not-allowed") || strings.Contains(r.stdout, `"api.example.com"}`) || up.Opened() != before {
			t.Errorf("%v", r)
		}
	})
}

func counts(list []*upstreamtest.Server) (n int) {
	for _, s := range list {
		n += len(s.Requests())
	}
	return n
}

// TestAnEchoDoesNotGiveTheTokenAway has an upstream that answers with what it got.
func TestAnEchoDoesNotGiveTheTokenAway(t *testing.T) {
	w := newWorld(t)
	up := w.https(t, "api.example.com", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Echo", r.Header.Get("Authorization"))
		fmt.Fprintf(w, "you sent %q", r.Header)
	})
	b := bottle{manifest: w.manifest(apiRoute), env: []string{"API_TOKEN=" + token}}
	for _, version := range []string{"--http1.1", "--http2"} {
		r := w.run(t, b, "curl", "-sSi", version, "https://api.example.com/user")
		if !r.ok("you sent") || strings.Contains(r.stdout, token) {
			t.Errorf("%s: %v", version, r)
		}
	}
	for _, req := range up.Requests() { // the control: there was something to give away
		if req.Header.Get("Authorization") != "Bearer "+token {
			t.Errorf("the upstream got %+v", req)
		}
	}
}

// TestATableIsReplacedWhileTheBottleRuns.
func TestATableIsReplacedWhileTheBottleRuns(t *testing.T) {
	w := newWorld(t)
	w.https(t, "one.example.com", greet)
	w.https(t, "two.example.com", greet)
	w.background(t, bottle{manifest: w.only("one.example.com"), flags: []string{"--name", "live"}}, "sleep", "1000")
	eventually(t, "the bottle runs", 10*time.Second, func() error {
		if list := w.list(t); len(list) != 1 || list[0].State != api.Running {
			return fmt.Errorf("%+v", list)
		}
		return nil
	})
	reaches := func(name string) bool {
		return w.client(t, nil, "exec", "live", "--", "curl", "-sS", "https://"+name+".example.com/").ok(greeting)
	}
	if !reaches("one") || reaches("two") {
		t.Error("the first table is not in force")
	}
	next := filepath.Join(workDir(t, map[string]string{"next.yaml": w.only("two.example.com")}), "next.yaml")
	if r := w.client(t, nil, "routes", "update", "--manifest", next, "live"); r.code != 0 {
		t.Fatalf("update: %v", r)
	}
	if reaches("one") || !reaches("two") {
		t.Error("the second table is not in force")
	}
	if r := w.client(t, nil, "routes", "show", "--bottle", "live"); !r.ok("HOST             PORTS") || !strings.Contains(r.stdout, "two.example.com") {
		t.Errorf("the live table: %v", r)
	}
	broken := filepath.Join(workDir(t, map[string]string{"broken.yaml": "version: 1\negres: {}\n"}), "broken.yaml")
	if r := w.client(t, nil, "routes", "update", "--manifest", broken, "live"); r.code == 0 || reaches("one") || !reaches("two") {
		t.Errorf("a broken table: %v", r)
	}
}

// TestUpstreamsOverIPv6: the bottle's side is the same, whatever the upstream's is.
func TestUpstreamsOverIPv6(t *testing.T) {
	w := newWorld(t)
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).AddrPort().Port()
	l.Close()
	up := w.httpsOn(t, "six.example.com", netip.IPv6Loopback(), port, greet)
	b := bottle{manifest: w.manifest(fmt.Sprintf(`- {host: six.example.com, ports: [%d], allow_private: ["::1/128"]}`, port))}
	if r := w.run(t, b, "curl", "-sS", fmt.Sprintf("https://six.example.com:%d/", port)); !r.ok(greeting) || len(up.Requests()) != 1 {
		t.Errorf("%v", r)
	}
	// The bottle's own sockets may be of either family: an IPv6 address is no way around.
	if r := w.sh(t, b, fmt.Sprintf("curl -sSk --max-time 5 'https://[::1]:%[1]d/'; curl -sSk --max-time 5 'https://[2001:db8::1]:%[1]d/' --resolve x:1:1", port)); strings.Contains(r.stdout, greeting) {
		t.Errorf("%v", r)
	}
}

// TestNoTokenForAnUnverifiedUpstream serves certificates that no client should take.
func TestNoTokenForAnUnverifiedUpstream(t *testing.T) {
	w := newWorld(t)
	stranger, err := upstreamtest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	good := w.https(t, "api.example.com", greet)
	b := bottle{manifest: w.manifest(apiRoute), env: []string{"API_TOKEN=" + token}}
	get := func() result { return w.run(t, b, "curl", "-sS", "https://api.example.com/user") }
	if r := get(); !r.ok(greeting) || len(good.Requests()) != 1 {
		t.Fatalf("control: %v", r)
	}
	for name, authority := range map[string]*upstreamtest.Authority{"of an unknown authority": stranger, "for another name": w.authority} {
		t.Run(name, func(t *testing.T) {
			certified := "api.example.com"
			if authority == w.authority {
				certified = "other.example.com"
			}
			leaf, err := authority.Leaf(certified)
			if err != nil {
				t.Fatal(err)
			}
			seen := make(chan string, 100)
			l, err := tls.Listen("tcp", netip.AddrPortFrom(address(), 443).String(), &tls.Config{Certificates: []tls.Certificate{leaf}})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header.Get("Authorization") })}
			go func() { _ = server.Serve(l) }()
			w.names.Set("api.example.com", l.Addr().(*net.TCPAddr).AddrPort().Addr())
			r := get()
			var refusal struct{ Error, Reason, Detail string }
			if err := json.Unmarshal([]byte(r.stdout), &refusal); err != nil || refusal.Error != "upstream failed" || strings.Contains(r.stdout, token) {
				t.Errorf("%v: %v", err, r)
			}
			if r := w.run(t, b, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "https://api.example.com/user"); r.stdout != "502" {
				t.Errorf("%v", r)
			}
			select {
			case got := <-seen:
				t.Errorf("a request reached it, with %q", got)
			default:
			}
		})
	}
}

// TestARefusalSaysWhatToDo reads the 403 as an agent would.
func TestARefusalSaysWhatToDo(t *testing.T) {
	w := newWorld(t)
	r := w.sh(t, bottle{manifest: w.manifest(apiRoute), env: []string{"API_TOKEN=" + token}}, `
		curl -sS https://api.example.com/admin?q=private
		id=$(curl -sS -o /dev/null -D - https://other.example.com/ | tr -d '\r' | sed -n 's/^x-request-id: //Ip')
		curl -sS http://_egress-proxy.local/decisions/$id
		curl -sS http://_egress-proxy.local/allowlist; curl -sS https://_egress-proxy.local/healthz
		cat /etc/bottled/current-config/bottle.yaml`)
	for _, want := range []string{
		`"reason":"path-not-allowed"`, `"host":"api.example.com"`, `"path":"/admin"`, `"reason":"host-not-allowed"`,
		`"tool":"egress-proxy-block"`, `"token_env":"EGRESS_PROXY_TOKEN_0"`, `"status":"ok"`, "token_ref: API_TOKEN",
	} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %s in %v", want, r)
		}
	}
	for _, never := range []string{token, "q=private"} {
		if strings.Contains(r.stdout, never) {
			t.Errorf("%s in %v", never, r)
		}
	}
}
