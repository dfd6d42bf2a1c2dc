package proxy_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"bottled/attack"
	"bottled/audit"
)

const (
	head = "GET /x HTTP/1.1\r\nHost: api.example.com\r\n"
	post = "POST /x HTTP/1.1\r\nHost: api.example.com\r\n"
)

// Bytes that one parser reads as an allowed request and another as something
// else: none may leave in any form.
func TestAttackRequestForms(t *testing.T) {
	rows := []struct{ id, name, send string }{
		{"H01", "absolute form of another host", "GET http://evil.example.com/x HTTP/1.1\r\nHost: api.example.com\r\n\r\n"},
		{"H01", "absolute https form of another host", "GET https://evil.example.com/x HTTP/1.1\r\nHost: api.example.com\r\n\r\n"},
		{"H01", "user information", "GET https://api.example.com@evil.example.com/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n"},
		{"H03", "HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n"},
		{"H03", "empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
		{"H03", "no Host", "GET / HTTP/1.1\r\nX: y\r\n\r\n"},
		{"H03", "two Hosts", head + "Host: evil.example.com\r\n\r\n"},
		{"H09", "xchunked", post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"},
		{"H09", "identity, chunked", post + "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n"},
		{"H09", "two Transfer-Encoding", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"},
		{"H09", "vertical tab", post + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"},
		{"H09", "chunked with parameter", post + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"},
		{"H09", "chunked twice", post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"},
		{"H09", "quoted", post + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"},
		{"H09", "space before the colon", post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"},
		{"H10", "differing Content-Length", post + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"},
		{"H10", "list of lengths", post + "Content-Length: 3, 3\r\n\r\nabc"},
		{"H10", "identical lengths", post + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"},
		{"H09", "Content-Length beside chunked", post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"},
		{"H09", "chunked in HTTP/1.0", "POST /x HTTP/1.0\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"},
		{"H14", "lines that end in LF", "GET /x HTTP/1.1\nHost: api.example.com\n\n"},
		{"H14", "one line that ends in LF", "GET /x HTTP/1.1\r\nX: y\nHost: api.example.com\r\n\r\n"},
		{"H15", "fold", head + "X-Fold: a\r\n Authorization: agents-own\r\n\r\n"},
		{"H10", "signed length", post + "Content-Length: +3\r\n\r\nabc"},
		{"H10", "hexadecimal length", post + "Content-Length: 0x3\r\n\r\nabc"},
		{"H10", "negative length", post + "Content-Length: -3\r\n\r\nabc"},
		{"H10", "huge length", post + "Content-Length: 99999999999999999999\r\n\r\nabc"},
		{"H16", "vertical tab in a name", head + "Authorization\x0b: x\r\n\r\n"},
		{"H16", "non-ASCII name", head + "Auth\xc3\xb6r: x\r\n\r\n"},
		{"H15", "fold before the first field", "GET /x HTTP/1.1\r\n folded\r\nHost: api.example.com\r\n\r\n"},
		{"H24", "TRACE", "TRACE /x HTTP/1.1\r\nHost: api.example.com\r\n\r\n"},
		{"H24", "TRACK", "TRACK /x HTTP/1.1\r\nHost: api.example.com\r\n\r\n"},
		{"H27", "asterisk", "GET * HTTP/1.1\r\nHost: api.example.com\r\n\r\n"},
		{"H27", "half an absolute form", "GET http:/a HTTP/1.1\r\nHost: api.example.com\r\n\r\n"},
		{"H27", "fragment", "GET /a#frag HTTP/1.1\r\nHost: api.example.com\r\n\r\n"},
		{"H27", "network path", "GET //evil.example.com/x HTTP/1.1\r\nHost: api.example.com\r\n\r\n"},
		{"H27", "HTTP/2 preface on HTTP/1", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
		{"H27", "HTTP/1.2", "GET /x HTTP/1.2\r\nHost: api.example.com\r\n\r\n"},
		{"H27", "HTTP/2.0 in a request line", "GET /x HTTP/2.0\r\nHost: api.example.com\r\n\r\n"},
		{"H27", "HTTP/0.9", "GET /x\r\n\r\n"},
		{"H04", "another port", "GET /x HTTP/1.1\r\nHost: api.example.com:22\r\n\r\n"},
		{"H04", "empty port", "GET /x HTTP/1.1\r\nHost: api.example.com:\r\n\r\n"},
		{"H04", "two ports", "GET /x HTTP/1.1\r\nHost: api.example.com:443:443\r\n\r\n"},
		{"H04", "zone", "GET /x HTTP/1.1\r\nHost: [fe80::1%25eth0]:443\r\n\r\n"},
		{"H06", "soft hyphen", "GET /x HTTP/1.1\r\nHost: api.exa\xc2\xadmple.com\r\n\r\n"},
		{"H06", "fullwidth", "GET /x HTTP/1.1\r\nHost: \xef\xbd\x81pi.example.com\r\n\r\n"},
		{"H07", "prefix", "GET /x HTTP/1.1\r\nHost: evilapi.example.com\r\n\r\n"},
		{"H07", "suffix", "GET /x HTTP/1.1\r\nHost: api.example.com.evil.com\r\n\r\n"},
		{"H07", "encoded NUL", "GET /x HTTP/1.1\r\nHost: api.example.com%00.evil.com\r\n\r\n"},
		{"S01", "domain fronting", "GET /x HTTP/1.1\r\nHost: evil.example.com\r\n\r\n"},
		{"S21", "CONNECT inside TLS", "CONNECT evil.example.com:443 HTTP/1.1\r\nHost: evil.example.com:443\r\n\r\n"},
		{"H34", "header line of a megabyte", head + "X: " + strings.Repeat("a", 1<<20) + "\r\n\r\n"},
		{"H34", "10,000 fields", head + strings.Repeat("X: y\r\n", 10000) + "\r\n"},
		{"H34", "method of 200 KiB", strings.Repeat("A", 200<<10) + " /x HTTP/1.1\r\nHost: api.example.com\r\n\r\n"},
		{"H34", "100 KiB target", "GET /" + strings.Repeat("a", 100<<10) + " HTTP/1.1\r\nHost: api.example.com\r\n\r\n"},
	}
	w := newWorld(t, bareAPI)
	s := w.sink(443, okReply, "api.example.com")
	for _, row := range rows {
		attack.Stopped(t, row.id, row.name,
			func(t *testing.T) error { return s.direct(t, row.send) },
			func(t *testing.T) error { return s.through(t, w.tls("api.example.com", 443), row.send) })
	}
	for _, d := range w.dials() {
		t.Errorf("dialled %s", d)
	}
}

// What is allowed leaves in one clean form, without what could change its meaning
// at the upstream.
func TestAttackHeaders(t *testing.T) {
	w := newWorld(t, injecting)
	s := w.sink(443, okReply, "api.example.com")
	authorization := "Authorization: Bearer " + token
	rows := []struct {
		id, name, send string
		leak           string // must not be in what reaches the upstream
		want           string // must be
	}{
		{"H18", "Connection nominates Authorization", head + "Connection: close, Authorization, Host, Cookie\r\nCookie: a=b\r\n\r\n", "", authorization},
		{"H18", "nominated field is dropped", head + "Connection: X-Internal\r\nX-Internal: 1\r\n\r\n", "X-Internal", authorization},
		{"H16", "underscore", head + "X_Original_URL: /admin\r\n\r\n", "/admin", authorization},
		{"H28", "X-Original-URL", head + "X-Original-URL: /admin\r\n\r\n", "/admin", authorization},
		{"H28", "X-Rewrite-URL", head + "X-Rewrite-URL: /admin\r\n\r\n", "/admin", authorization},
		{"H28", "X-Forwarded-Path", head + "X-Forwarded-Path: /admin\r\n\r\n", "/admin", authorization},
		{"H28", "X-Forwarded-Prefix", head + "X-Forwarded-Prefix: /admin\r\n\r\n", "/admin", authorization},
		{"H28", "X-Forwarded-Uri", head + "X-Forwarded-Uri: /admin\r\n\r\n", "/admin", authorization},
		{"H28", "X-Forwarded-Host", head + "X-Forwarded-Host: evil.example.com\r\n\r\n", "evil", authorization},
		{"H28", "Forwarded", head + "Forwarded: host=evil.example.com\r\n\r\n", "evil", authorization},
		{"H28", "X-Host", head + "X-Host: evil.example.com\r\n\r\n", "evil", authorization},
		{"H28", "X-HTTP-Host-Override", head + "X-HTTP-Host-Override: evil.example.com\r\n\r\n", "evil", authorization},
		{"C04", "own Authorization", head + "Authorization: Bearer agents-own\r\nauthorization: Basic agents-own\r\n\r\n", "agents-own", authorization},
		{"C04", "own Proxy-Authorization", head + "Proxy-Authorization: Basic agents-own\r\n\r\n", "agents-own", authorization},
		{"H13", "Authorization in a trailer", post + "Transfer-Encoding: chunked\r\nTrailer: Authorization, X-Api-Key, X-Fine\r\n\r\n1\r\na\r\n0\r\nAuthorization: agents-own\r\nX-Api-Key: agents-own\r\n\r\n", "agents-own", authorization},
		{"H24", "Max-Forwards", head + "Max-Forwards: 0\r\n\r\n", "Max-Forwards", authorization},
		{"T09", "nothing but the request itself", head + "X-Urgent: 1\r\n\r\n", "\x00", "X-Urgent: 1\r\n"},
	}
	for _, row := range rows {
		if row.leak == "" {
			row.leak = "no such text"
		}
		attack.Stopped(t, row.id, row.name,
			func(t *testing.T) error { return s.direct(t, row.send) },
			func(t *testing.T) error {
				c := w.tls("api.example.com", 443)
				defer c.Close()
				before := len(s.text())
				raw(t, c, row.send)
				got := s.text()[before:]
				switch {
				case strings.Contains(got, row.leak):
					return nil
				case !strings.Contains(got, row.want):
					t.Errorf("the upstream got %q", got)
				}
				return fmt.Errorf("left without %q", row.leak)
			})
	}
}

// A field that names a second path says nothing on a route that judges paths: the
// request is refused. Where every path is allowed it passes.
func TestAttackSecondPath(t *testing.T) {
	w := newWorld(t, `{"routes": [{"host": "api.example.com", "path_allowlist": ["/x"]}]}`)
	open := newWorld(t, bareAPI)
	s, passed := w.sink(443, okReply, "api.example.com"), open.sink(443, okReply, "api.example.com")
	for _, field := range []string{"Destination", "x-amz-copy-source", "x-goog-copy-source", "x-ms-copy-source", "x-ms-rename-source", "X-Copy-From"} {
		send := head + field + ": /private/key\r\n\r\n"
		through := func(w *world, s *sink) error {
			c := w.tls("api.example.com", 443)
			defer c.Close()
			raw(t, c, send)
			if !strings.Contains(s.text(), "/private/key") {
				return errors.New("refused")
			}
			return nil
		}
		attack.Stopped(t, "H28", field,
			func(*testing.T) error { return through(open, passed) },
			func(*testing.T) error { return through(w, s) })
	}
}

// Every request of a connection is judged for itself.
func TestAttackPipelining(t *testing.T) {
	w := newWorld(t, `{"routes": [{"host": "api.example.com", "path_allowlist": ["/x"]}]}`)
	s := w.sink(443, okReply, "api.example.com")
	two := head + "\r\n" + "GET /admin HTTP/1.1\r\nHost: api.example.com\r\n\r\n" + "GET /x HTTP/1.1\r\nHost: evil.example.com\r\n\r\n" + head + "\r\n"
	attack.Stopped(t, "H19", "pipelined requests for others",
		func(t *testing.T) error { return s.direct(t, two) },
		func(t *testing.T) error {
			c := w.tls("api.example.com", 443)
			defer c.Close()
			before := len(s.text())
			reply := raw(t, c, two)
			got := s.text()[before:]
			if strings.Contains(got, "/admin") || strings.Contains(got, "evil") {
				return nil
			}
			if strings.Count(got, "GET /x ") != 2 || strings.Count(reply, "HTTP/1.1 ") != 4 {
				t.Errorf("upstream got %q, client got %q", got, reply)
			}
			return errors.New("403 and 421 between two 200")
		})
}

// A body that breaks off, or whose chunks are wrong, never ends properly at the
// upstream.
func TestAttackChunks(t *testing.T) {
	w := newWorld(t, bareAPI)
	chunked := post + "Transfer-Encoding: chunked\r\n\r\n"
	for name, body := range map[string]string{
		"hexadecimal prefix":   "0x3\r\nabc\r\n0\r\n\r\n",
		"overflow":             "11111111111111111\r\nabc\r\n0\r\n\r\n",
		"spilled chunk":        "3\r\nabcX\r\n0\r\n\r\n",
		"no final CRLF":        "3\r\nabc\r\n0\r\n",
		"extension of 1 MiB":   "3;" + strings.Repeat("a", 1<<20) + "\r\nabc\r\n0\r\n\r\n",
		"bare LF in extension": "3;a\nb\r\nabc\r\n0\r\n\r\n",
	} {
		s := w.sink(443, "", "api.example.com") // its own: what broke off may still arrive
		attack.Stopped(t, "H12", name,
			func(t *testing.T) error { return s.direct(t, chunked+body) },
			func(t *testing.T) error {
				c := w.tls("api.example.com", 443)
				defer c.Close()
				before := len(s.text())
				if _, err := io.WriteString(c, chunked+body); err != nil {
					return err
				}
				if tc, ok := c.NetConn().(*net.TCPConn); ok {
					tc.CloseWrite()
				}
				drain(c, 500*time.Millisecond)
				if strings.HasSuffix(s.text()[before:], "\r\n0\r\n\r\n") {
					return nil
				}
				return errors.New("the upstream's copy has no end")
			})
	}
}

func TestAttackOptionsAsterisk(t *testing.T) {
	w := newWorld(t, bareAPI)
	s := w.sink(443, okReply, "api.example.com")
	send := "OPTIONS * HTTP/1.1\r\nHost: api.example.com\r\n\r\n"
	attack.Stopped(t, "H25", "OPTIONS *",
		func(t *testing.T) error { return s.direct(t, send) },
		func(t *testing.T) error {
			err := s.through(t, w.tls("api.example.com", 443), send)
			w.event(func(e audit.Event) bool { return e.Method == "OPTIONS" && e.Verdict == audit.Deny })
			return err
		})
}

func TestAttackExpect(t *testing.T) {
	w := newWorld(t, bareAPI)
	s := w.sink(443, okReply, "api.example.com")
	attack.Stopped(t, "H22", "unknown expectation",
		func(t *testing.T) error { return s.direct(t, post+"Expect: 200-ok\r\nContent-Length: 0\r\n\r\n") },
		func(t *testing.T) error {
			return s.through(t, w.tls("api.example.com", 443), post+"Expect: 200-ok\r\nContent-Length: 0\r\n\r\n")
		})
	attack.Stopped(t, "H22", "100-continue without a body",
		func(t *testing.T) error { return s.direct(t, head+"Expect: 100-continue\r\n\r\n") },
		func(t *testing.T) error {
			c := w.tls("api.example.com", 443)
			defer c.Close()
			before := len(s.text())
			reply := raw(t, c, head+"Expect: 100-continue\r\n\r\n")
			if strings.Contains(s.text()[before:], "Expect") {
				return nil
			}
			if !strings.HasPrefix(reply, "HTTP/1.1 200") {
				t.Errorf("client got %q", reply)
			}
			return errors.New("answered without Expect going out")
		})
}

func TestAttackRedirect(t *testing.T) {
	w := newWorld(t, injecting)
	hit := func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, "http://169.254.169.254/latest?t=1", http.StatusFound)
	}
	up := w.upstream(hit, "api.example.com")
	attack.Stopped(t, "H30", "redirect to a metadata service",
		func(t *testing.T) error { // a client that follows would go there
			var there bool
			c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: w.authority.Pool()},
				DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
					if there = addr == "169.254.169.254:80"; there {
						return nil, errors.New("not in a test")
					}
					return (&net.Dialer{}).DialContext(ctx, network, up.Addr.String())
				}}}
			if resp, err := c.Get("https://api.example.com/"); err == nil {
				resp.Body.Close()
			}
			if !there {
				return errors.New("not followed")
			}
			return nil
		},
		func(t *testing.T) error {
			resp, _ := w.get(w.client(false), "https://api.example.com/")
			for _, d := range w.dials() {
				if d.Addr() != public {
					return nil
				}
			}
			if resp.StatusCode != 302 || len(up.Requests()) != 2 {
				t.Errorf("%v, %d requests", resp.Status, len(up.Requests()))
			}
			return errors.New("handed to the client, who is judged anew")
		})
}
