package proxy_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"bottled/attack"
)

// An upstream that gives the credential back, in whatever form: no byte of it
// reaches the bottle.
func TestAttackReflection(t *testing.T) {
	forms := map[string]func(http.ResponseWriter, string){
		"header": func(rw http.ResponseWriter, s string) { rw.Header().Set("X-Echo", s) },
		"raw":    func(rw http.ResponseWriter, s string) { io.WriteString(rw, s) },
		"split":  func(rw http.ResponseWriter, s string) { flushed(rw, s[:9], s[9:]) },
		"JSON":   func(rw http.ResponseWriter, s string) { json.NewEncoder(rw).Encode(map[string]string{"auth": s}) },
		"base64": func(rw http.ResponseWriter, s string) {
			io.WriteString(rw, base64.StdEncoding.EncodeToString([]byte("u:"+s)))
		},
		"percent": func(rw http.ResponseWriter, s string) { io.WriteString(rw, url.QueryEscape(s)) },
		"hex":     func(rw http.ResponseWriter, s string) { io.WriteString(rw, hex.EncodeToString([]byte(s))) },
		"trailer": func(rw http.ResponseWriter, s string) {
			rw.Header().Set(http.TrailerPrefix+"X-Echo", s)
			flushed(rw, "body")
		},
		"trailer's name": func(rw http.ResponseWriter, s string) {
			rw.Header().Set("Trailer", "X-Fine, X-"+hex.EncodeToString([]byte(s)))
			flushed(rw, "body")
		},
		"events": func(rw http.ResponseWriter, s string) {
			rw.Header().Set("Content-Type", "text/event-stream")
			flushed(rw, "data: "+s[:5], s[5:]+"\n\n")
		},
		"error": func(rw http.ResponseWriter, s string) { http.Error(rw, "bad token "+s, http.StatusUnauthorized) },
		"redirect": func(rw http.ResponseWriter, s string) {
			rw.Header().Set("Location", "https://evil/?t="+url.QueryEscape(s))
			rw.WriteHeader(302)
		},
	}
	for name, answer := range forms {
		for _, h2 := range []bool{false, true} {
			w := newWorld(t, injecting)
			up := w.upstream(func(rw http.ResponseWriter, r *http.Request) {
				answer(rw, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
			}, "api.example.com")
			attack.Stopped(t, "C01", fmt.Sprintf("%s, h2 %v", name, h2),
				func(t *testing.T) error {
					req, _ := http.NewRequest("GET", "https://"+up.Addr.String(), nil)
					req.Host = "api.example.com"
					req.Header.Set("Authorization", "Bearer "+token)
					return echoed(t, w.direct(), req)
				},
				func(t *testing.T) error {
					req, _ := http.NewRequest("GET", "https://api.example.com/", nil)
					return echoed(t, w.client(h2), req)
				})
			if n := len(up.Requests()); n != 2 || up.Requests()[1].Header.Get("Authorization") != "Bearer "+token {
				t.Errorf("%s: %d requests, or no injection", name, n)
			}
		}
	}
}

// echoed returns nil when the token, in some form, is in what came back.
func echoed(t *testing.T, c *http.Client, req *http.Request) error {
	resp, err := c.Do(req)
	if err != nil {
		t.Error(err)
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	var all bytes.Buffer
	fmt.Fprintln(&all, resp.Status)
	resp.Header.Write(&all)
	resp.Trailer.Write(&all)
	fmt.Fprintln(&all, slices.Collect(maps.Keys(resp.Trailer))) // those that were announced and never came
	all.Write(body)
	for _, form := range []string{token, url.QueryEscape(token), hex.EncodeToString([]byte(token)),
		strings.TrimRight(base64.StdEncoding.EncodeToString([]byte("u:" + token))[3:], "=")[:40]} {
		if strings.Contains(all.String(), form) {
			return nil
		}
	}
	return errors.New(resp.Status + ", masked")
}

func flushed(rw http.ResponseWriter, parts ...string) {
	for _, p := range parts {
		io.WriteString(rw, p)
		rw.(http.Flusher).Flush()
	}
}

// A slice of an echo would cut the credential where nobody can find it, and one in
// another charset would look like something else.
func TestAttackRangeReflection(t *testing.T) {
	for field, value := range map[string]string{
		"Range": "bytes=0-9", "Request-Range": "bytes=0-9", "X-Ms-Range": "bytes=0-9", "Accept-Charset": "utf-7", "A-Im": "diffe",
	} {
		w := newWorld(t, injecting)
		up := w.upstream(func(rw http.ResponseWriter, r *http.Request) {
			text := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			if r.Header.Get(field) == value {
				rw.WriteHeader(http.StatusPartialContent)
				text = text[:10]
			}
			io.WriteString(rw, text)
		}, "api.example.com")
		probe := func(c *http.Client, url string) error {
			req, _ := http.NewRequest("GET", url, nil)
			req.Header.Set(field, value)
			req.Header.Set("Content-Range", "bytes 0-0/1") // of an upload: stays
			req.Header.Set("Authorization", "Bearer "+token)
			resp, err := c.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if body, _ := io.ReadAll(resp.Body); strings.Contains(string(body), token[:10]) {
				return nil
			}
			return errors.New(resp.Status + ", masked")
		}
		attack.Stopped(t, "C01", field,
			func(t *testing.T) error { return probe(w.direct(), "https://"+up.Addr.String()) },
			func(t *testing.T) error { return probe(w.client(false), "https://api.example.com/") })
		if last := up.Requests()[1]; last.Header.Get("Content-Range") == "" {
			t.Error("Content-Range went too")
		}
	}
}

// What would hand the credential's session over stays out.
func TestAttackSession(t *testing.T) {
	w := newWorld(t, injecting)
	set := http.Header{
		"Set-Cookie": {"session=1"}, "Www-Authenticate": {"Negotiate abc"}, "Authentication-Info": {"nextnonce=1"},
		"Alt-Svc": {`h3=":443"`}, "X-Fine": {"1"},
	}
	up := w.upstream(func(rw http.ResponseWriter, r *http.Request) {
		for k, v := range set {
			rw.Header()[k] = v
		}
	}, "api.example.com")
	for name := range set {
		if name == "X-Fine" {
			continue
		}
		id := "C22"
		if name == "Alt-Svc" {
			id = "T12"
		}
		probe := func(c *http.Client, url string) error {
			resp, err := c.Get(url)
			if err != nil {
				return err
			}
			resp.Body.Close()
			if resp.Header.Get("X-Fine") != "1" {
				t.Errorf("%q", resp.Header)
			}
			if resp.Header.Get(name) != "" {
				return nil
			}
			return errors.New("stripped")
		}
		attack.Stopped(t, id, name,
			func(t *testing.T) error { return probe(w.direct(), "https://"+up.Addr.String()) },
			func(t *testing.T) error { return probe(w.client(true), "https://api.example.com/") })
	}
}

// Neither events nor refusals hold the credential, whatever fails.
func TestAttackLogs(t *testing.T) {
	w := newWorld(t, `{"routes": [{"host": "api.example.com", "auth_scheme": "raw", "auth_query": "key", "token_env": "EGRESS_PROXY_TOKEN_0"}]}`)
	up := w.upstream(func(rw http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.RequestURI, "break") {
			panic(http.ErrAbortHandler)
		}
		io.WriteString(rw, r.RequestURI)
	}, "api.example.com")
	var said strings.Builder
	attack.Stopped(t, "C12", "token in events and refusals",
		func(t *testing.T) error {
			_, body := w.get(w.client(false), "https://api.example.com/a?key=own&x=1")
			said.WriteString(body)
			if got := up.Requests()[0].Target; got != "/a?x=1&key="+url.QueryEscape(token) {
				return fmt.Errorf("upstream got %q", got)
			}
			return nil
		},
		func(t *testing.T) error {
			for _, path := range []string{"/break?x=1", "/a?b=%zz"} {
				_, body := w.get(w.client(false), "https://api.example.com"+path)
				said.WriteString(body)
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			fmt.Fprintf(&said, "%+v", w.events)
			if strings.Contains(said.String(), token) || strings.Contains(said.String(), url.QueryEscape(token)) || strings.Contains(fmt.Sprint(w.events), "x=1") {
				t.Log(said.String())
				return nil
			}
			return fmt.Errorf("not in %d events", len(w.events))
		})
}

// Without its credential a route sends nothing at all.
func TestMissingCredential(t *testing.T) {
	w := newWorld(t, injecting)
	up := w.upstream(func(http.ResponseWriter, *http.Request) {}, "api.example.com")
	w.mu.Lock()
	clear(w.tokens)
	w.mu.Unlock()
	if resp, body := w.get(w.client(false), "https://api.example.com/"); resp.StatusCode != 502 || !strings.Contains(body, "credential-missing") {
		t.Fatalf("%v %q", resp.Status, body)
	}
	if len(up.Requests()) != 0 {
		t.Fatal("the request left")
	}
}
