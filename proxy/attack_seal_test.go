package proxy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"

	"bottled/attack"
	"bottled/audit"
	"bottled/proxy"
)

const sealing = `{"routes": [
	{"host": "api.example.com", "path_allowlist": ["/mint"], "ports": [443, 80], "sealed": true},
	{"host": "api.example.com", "path_allowlist": ["/repos"], "ports": [443, 80]},
	{"host": "api.example.com", "path_allowlist": ["/sign"], "auth_scheme": "Bearer", "token_env": "EGRESS_PROXY_TOKEN_0", "sealed": true}]}`

// A token that an upstream makes is none that anybody could look for. Of what a sealed
// route answers only the status comes in.
func TestAttackMintedToken(t *testing.T) {
	const minted = "ghs_MintedToken0123456789abcdefghijkl"
	w := newWorld(t, sealing)
	status := 0
	answer := func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h := rw.Header()
		h.Set("Link", "<"+minted+">")
		rw.WriteHeader(http.StatusEarlyHints)
		h.Set("X-Token", minted)
		h.Set("Set-Cookie", "session="+minted)
		h.Set(http.TrailerPrefix+"X-Late", minted)
		rw.WriteHeader(status)
		if string(body) == "please" {
			flushed(rw, `{"token": "`, minted, `"}`)
		}
	}
	up := w.upstream(answer, "api.example.com")
	w.plainUpstream(answer)
	for _, way := range []struct {
		url string
		h2  bool
	}{
		{"https://api.example.com/mint", false}, {"https://api.example.com/mint", true}, {"http://api.example.com/mint", false},
		{"https://api.example.com/sign", false}, {"https://api.example.com/sign", true},
	} {
		for _, status = range []int{201, 302, 403, 204} {
			var got strings.Builder
			var body []byte
			post := func(t *testing.T, url string) error {
				got.Reset()
				req, _ := http.NewRequest("POST", url, strings.NewReader("please"))
				req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
					Got1xxResponse: func(_ int, h textproto.MIMEHeader) error { return http.Header(h).Write(&got) },
				}))
				resp, err := w.client(way.h2).Do(req)
				if err != nil {
					return err
				}
				defer resp.Body.Close()
				if body, err = io.ReadAll(resp.Body); err != nil || resp.StatusCode != status {
					t.Errorf("%s, %v", resp.Status, err)
				}
				resp.Header.Write(&got)
				resp.Trailer.Write(&got)
				got.Write(body)
				if strings.Contains(got.String(), minted) {
					return nil
				}
				return errors.New(resp.Status)
			}
			attack.Stopped(t, "C06", fmt.Sprintf("%s, h2 %v, %d", way.url, way.h2, status),
				func(t *testing.T) error {
					return post(t, strings.NewReplacer("/mint", "/repos", "/sign", "/repos").Replace(way.url))
				},
				func(t *testing.T) error {
					err := post(t, way.url)
					var said proxy.Sealed
					if status != 204 && (json.Unmarshal(body, &said) != nil || !said.Sealed || said.Status != status || said.RequestID == "") || status == 204 && len(body) > 0 {
						t.Errorf("%q", body)
					}
					return err
				})
		}
	}
	for _, r := range up.Requests() {
		if string(r.Body) != "please" || strings.Contains(r.Target, "/sign") != (r.Header.Get("Authorization") == "Bearer "+token) {
			t.Errorf("the upstream got %q with %q", r.Body, r.Header)
		}
	}
	e := w.event(func(e audit.Event) bool { return e.Sealed && e.Injected })
	if e.Verdict != audit.Allow || e.Status == 0 {
		t.Errorf("%+v", e)
	}
	if resp, _ := w.client(false).Head("https://api.example.com/mint"); resp == nil || resp.Header.Get("X-Token") != "" {
		t.Errorf("%v", resp)
	}
}

// A WebSocket would be a response without an end.
func TestAttackSealedWebSocket(t *testing.T) {
	table := `{"routes": [{"host": "api.example.com"}, {"host": "api.example.com", "path_allowlist": ["/ws"], "sealed": true}]}`
	for _, scheme := range []string{"wss", "ws"} {
		w := newWorld(t, table)
		up := w.upstream(webSocket, "api.example.com")
		plain := w.plainUpstream(webSocket)
		open := func(path string) (string, error) {
			var c net.Conn
			if scheme == "wss" {
				c = w.tls("api.example.com", 443, "http/1.1")
			} else {
				c = w.connectName("api.example.com", 80)
			}
			defer c.Close()
			got := raw(t, c, strings.Replace(handshake, "/ws", path, 1))
			if strings.Contains(got, "\x81\x05hello") {
				return got, nil
			}
			line, _, _ := strings.Cut(got, "\r\n")
			return got, errors.New(line)
		}
		attack.Stopped(t, "C06", "a WebSocket on a sealed route, "+scheme,
			func(*testing.T) error { _, err := open("/other"); return err },
			func(t *testing.T) error {
				got, err := open("/ws")
				if !strings.Contains(got, "route-sealed") {
					t.Errorf("%q", got)
				}
				return err
			})
		if n := len(up.Requests()) + len(plain.Requests()); n != 1 {
			t.Errorf("%d handshakes reached the upstream", n)
		}
	}
}
