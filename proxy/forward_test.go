package proxy_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"bottled/audit"
	"bottled/proxy"
)

const bareAPI = `{"routes": [{"host": "api.example.com"}, {"host": "203.0.114.9"}]}`

func TestAllowedAndDenied(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		w := newWorld(t, bareAPI)
		up := w.upstream(func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "hello") }, "api.example.com", "evil.example.com")
		c := w.client(h2)
		resp, body := w.get(c, "https://api.example.com/a/b%2fc?x=1&y")
		if resp.StatusCode != 200 || body != "hello" || resp.ContentLength != 5 {
			t.Fatalf("%v %q", resp, body)
		}
		if got := up.Requests(); len(got) != 1 || got[0].Host != "api.example.com" || got[0].Target != "/a/b%2fc?x=1&y" {
			t.Fatalf("%+v", got)
		}
		resp, body = w.get(c, "https://evil.example.com/x?secret=1")
		var refusal proxy.Refusal
		if err := json.Unmarshal([]byte(body), &refusal); err != nil || resp.StatusCode != 403 {
			t.Fatalf("%v %q %v", resp.Status, body, err)
		}
		if refusal.Host != "evil.example.com" || refusal.Path != "/x" || refusal.Reason != "host-not-allowed" ||
			refusal.Tool != "egress-proxy-block" || refusal.RequestID != resp.Header.Get("X-Request-Id") {
			t.Fatalf("%+v", refusal)
		}
		if len(up.Requests()) != 1 {
			t.Fatal("a denied request reached the upstream")
		}
		e := w.event(func(e audit.Event) bool { return e.RequestID == refusal.RequestID })
		if e.Verdict != audit.Deny || e.Generation != 1 || e.Status != 403 || e.SNI != "evil.example.com" {
			t.Fatalf("%+v", e)
		}
		_, again := w.get(c, "https://_egress-proxy.local/decisions/"+refusal.RequestID)
		if again != body {
			t.Fatalf("%q", again)
		}
	}
}

// Hundreds of refusals are kept to be shown again, whatever was in them.
func TestRefusalIsShort(t *testing.T) {
	w := newWorld(t, bareAPI)
	for _, h2 := range []bool{false, true} {
		for method, path := range map[string]string{"GET": strings.Repeat("&", 30<<10), strings.Repeat("A", 30<<10): ""} {
			req, _ := http.NewRequest(method, "https://evil.example.com/"+path, nil)
			resp, err := w.client(h2).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode < 400 || len(body) > 8<<10 || !strings.Contains(string(body), "request_id") {
				t.Errorf("h2 %v, %.5s: %s, %d bytes: %.200q", h2, method, resp.Status, len(body), body)
			}
		}
	}
}

const injecting = `{"routes": [{"host": "api.example.com", "auth_scheme": "Bearer", "token_env": "EGRESS_PROXY_TOKEN_0"}]}`

func TestInjection(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		w := newWorld(t, injecting)
		up := w.upstream(func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("X-Echo", r.Header.Get("Authorization"))
			rw.Header().Set("Set-Cookie", "session=1")
			io.WriteString(rw, "you sent "+r.Header.Get("Authorization"))
		}, "api.example.com")
		req, _ := http.NewRequest("GET", "https://api.example.com/", nil)
		req.Header.Set("Authorization", "Bearer agents-own")
		req.Header.Set("Accept-Encoding", "br")
		resp, err := w.client(h2).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		got := up.Requests()[0]
		if a := got.Header["Authorization"]; len(a) != 1 || a[0] != "Bearer "+token {
			t.Fatalf("upstream got %q", a)
		}
		masked := "Bearer " + strings.Repeat("*", len(token))
		if string(body) != "you sent "+masked || resp.Header.Get("X-Echo") != masked || resp.Header.Get("Set-Cookie") != "" {
			t.Fatalf("%q %q", body, resp.Header)
		}
		if resp.ContentLength != int64(len(body)) {
			t.Errorf("length %d of %d", resp.ContentLength, len(body))
		}
		e := w.event(func(e audit.Event) bool { return e.Injected })
		if e.Scrubbed != 2 || e.Verdict != audit.Allow {
			t.Fatalf("%+v", e)
		}
		if resp, body := w.get(w.client(h2), "http://api.example.com/"); resp.StatusCode != 403 || strings.Contains(body, token) {
			t.Fatalf("%v %q", resp.Status, body)
		}
	}
}
