package proxy_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"bottled/attack"
	"bottled/audit"
)

// storing has one host with a credential on one of its paths, and another path, port
// and protocol of it without; and a host that is given none, where nothing is searched.
const storing = `{"routes": [
	{"host": "api.example.com", "path_allowlist": ["/in"], "auth_scheme": "Bearer", "token_env": "EGRESS_PROXY_TOKEN_0"},
	{"host": "api.example.com", "path_allowlist": ["/shown", "/ws"], "ports": [443, 80]},
	{"host": "api.example.com", "ports": [7070], "protocol": "tcp"},
	{"host": "other.example.com"}]}`

// memory is an upstream that keeps the credential it was sent last and shows it to
// everybody, as show says.
type memory struct {
	mu   sync.Mutex
	held string
	show func(rw http.ResponseWriter, r *http.Request, held string)
}

func (m *memory) serve(rw http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	if auth := r.Header.Get("Authorization"); auth != "" {
		m.held = strings.TrimPrefix(auth, "Bearer ")
	}
	held, show := m.held, m.show
	m.mu.Unlock()
	if r.URL.Path == "/shown" {
		show(rw, r, held)
	}
}

func (m *memory) shows(show func(rw http.ResponseWriter, r *http.Request, held string)) {
	m.mu.Lock()
	m.show = show
	m.mu.Unlock()
}

// newStore returns a world whose upstream has been sent the credential.
func newStore(t *testing.T) (*world, *memory) {
	w, m := newWorld(t, storing), &memory{}
	w.upstream(m.serve, "api.example.com", "other.example.com")
	w.plainUpstream(m.serve)
	if resp, body := w.get(w.client(false), "https://api.example.com/in"); resp.StatusCode != 200 {
		t.Fatal(resp.Status, body)
	}
	return w, m
}

// ways are those on which a bottle could see what an upstream stored, without a
// credential of its own.
var ways = []struct {
	name, url string
	h2        bool
}{
	{"h1 https", "https://api.example.com/shown", false},
	{"h2 https", "https://api.example.com/shown", true},
	{"h1 http", "http://api.example.com/shown", false},
}

// What an upstream was sent on one route it can show on another.
func TestAttackStoredReflection(t *testing.T) {
	w, m := newStore(t)
	for name, show := range map[string]func(http.ResponseWriter, string){
		"raw":    func(rw http.ResponseWriter, s string) { io.WriteString(rw, s) },
		"header": func(rw http.ResponseWriter, s string) { rw.Header().Set("X-Echo", s) },
		"cookie": func(rw http.ResponseWriter, s string) { rw.Header().Set("Set-Cookie", "t="+url.QueryEscape(s)) },
		"early hints": func(rw http.ResponseWriter, s string) {
			rw.Header().Set("Link", s)
			rw.WriteHeader(http.StatusEarlyHints)
		},
		"trailer": func(rw http.ResponseWriter, s string) {
			rw.Header().Set(http.TrailerPrefix+"X-Echo", s)
			flushed(rw, "body")
		},
		"events": func(rw http.ResponseWriter, s string) {
			rw.Header().Set("Content-Type", "text/event-stream")
			flushed(rw, "data: "+s[:5], s[5:]+"\n\n")
		},
		"base64": func(rw http.ResponseWriter, s string) {
			io.WriteString(rw, base64.StdEncoding.EncodeToString([]byte("u:"+s)))
		},
	} {
		m.shows(func(rw http.ResponseWriter, _ *http.Request, held string) { show(rw, held) })
		for _, way := range ways {
			probe := func(url string) attack.Probe {
				return func(t *testing.T) error {
					req, _ := http.NewRequest("GET", url, nil)
					return echoed(t, w.client(way.h2), req)
				}
			}
			attack.Stopped(t, "C01", "stored, then shown without a credential: "+name+", "+way.name,
				probe(strings.Replace(way.url, "api.", "other.", 1)), probe(way.url))
		}
	}
	w.event(func(e audit.Event) bool { return e.Route == "api.example.com" && !e.Injected && e.Scrubbed == 1 })
	if w.server.Stats().Scrubbed == 0 {
		t.Error("not counted")
	}
}

// Wherever an upstream cuts its body, all but the first letters of the token is masked,
// and the length stays.
func TestAttackEverySplit(t *testing.T) {
	w, m := newStore(t)
	var cut int
	text := "data: " + token + "\n\n"
	m.shows(func(rw http.ResponseWriter, _ *http.Request, held string) {
		flushed(rw, "data: "[:min(cut, 6)], text[min(cut, 6):cut], text[cut:])
	})
	get := func(c *http.Client, url string) (string, error) {
		resp, err := c.Get(url)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return string(body), err
	}
	for _, way := range ways {
		inside, outside := w.client(way.h2), strings.Replace(way.url, "api.", "other.", 1)
		attack.Stopped(t, "C01", "split at every byte, "+way.name,
			func(t *testing.T) error {
				for cut = range len(text) {
					if got, err := get(inside, outside); err != nil || got != text {
						return fmt.Errorf("%q, %v", got, err)
					}
				}
				return nil
			},
			func(t *testing.T) error {
				for cut = range len(text) {
					got, err := get(inside, way.url)
					if err != nil {
						t.Error(err)
					}
					if len(got) != len(text) {
						t.Fatalf("cut %d: %q", cut, got)
					}
					for at := range text {
						secret, let := at >= 6 && at < 6+len(token), at >= cut-3 && at < cut
						if secret && !let && got[at] != '*' || !secret && got[at] != text[at] {
							t.Logf("cut %d: %q", cut, got)
							return nil
						}
					}
				}
				return errors.New("masked")
			})
	}
}

// A stream of the opaque kind is searched too, where it is in the clear.
func TestAttackStoredInTCP(t *testing.T) {
	w, _ := newStore(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	banner := "220 welcome " + token + "\r\n"
	go each(l, func(c net.Conn) { io.WriteString(c, banner[:20]); io.WriteString(c, banner[20:]) })
	w.at(7070, l.Addr().String())
	read := func(c net.Conn) error {
		defer c.Close()
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		got, err := io.ReadAll(c)
		if err != nil || len(got) != len(banner) {
			t.Errorf("%q, %v", got, err)
		}
		if strings.Contains(string(got), token[:8]) {
			return nil
		}
		return errors.New("masked")
	}
	attack.Stopped(t, "C01", "stored, then shown by protocol: tcp",
		func(t *testing.T) error {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				return err
			}
			return read(c)
		},
		func(*testing.T) error { return read(w.connectName("api.example.com", 7070)) })
	w.event(func(e audit.Event) bool { return e.Protocol == "tcp" && e.Scrubbed == 1 })
}

// An upstream may show today what it was sent yesterday: the value that was replaced is
// masked as its successor is, on streams that were open before as well.
func TestAttackRenewedCredential(t *testing.T) {
	const renewed = "ghp_AnotherSecret/Token+77aa0042F292c"
	w, m := newStore(t)
	next := make(chan string)
	m.shows(func(rw http.ResponseWriter, r *http.Request, held string) {
		if r.URL.RawQuery != "" {
			io.WriteString(rw, token+" "+held)
			return
		}
		flushed(rw, "open")
		select {
		case text := <-next:
			flushed(rw, text)
			<-r.Context().Done()
		case <-r.Context().Done():
		}
	})
	early := func(host string, h2 bool) io.Reader {
		resp, err := w.client(h2).Get("https://" + host + "/shown")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		io.ReadFull(resp.Body, make([]byte, 4))
		return resp.Body
	}
	streams := map[string]io.Reader{"control": early("other.example.com", false), "h1": early("api.example.com", false), "h2": early("api.example.com", true)}
	w.mu.Lock()
	w.tokens["EGRESS_PROXY_TOKEN_0"] = renewed
	w.mu.Unlock()
	w.get(w.client(false), "https://api.example.com/in")
	shown := func(s string) error {
		if strings.Contains(s, token[:8]) || strings.Contains(s, renewed[:8]) {
			return nil
		}
		return errors.New("both masked")
	}
	fresh := func(host string) attack.Probe {
		return func(t *testing.T) error {
			_, body := w.get(w.client(true), "https://"+host+"/shown?now")
			return shown(body)
		}
	}
	attack.Stopped(t, "C01", "renewed, both shown", fresh("other.example.com"), fresh("api.example.com"))
	text := token + " " + renewed + "\n\n"
	each := map[string]string{}
	for range streams { // each takes one
		next <- text
	}
	for name, s := range streams {
		buf := make([]byte, len(text))
		if _, err := io.ReadFull(s, buf); err != nil {
			t.Fatal(name, err)
		}
		each[name] = string(buf)
	}
	for _, name := range []string{"h1", "h2"} {
		attack.Stopped(t, "C01", "renewed while a stream is open, "+name,
			func(*testing.T) error { return shown(each["control"]) },
			func(*testing.T) error { return shown(each[name]) })
	}
}
