package proxy_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"bottled/attack"
)

// onlyX lets one path through, so that every other request that reaches an upstream was
// smuggled there.
const onlyX = `{"routes": [{"host": "api.example.com", "path_allowlist": ["/x"]}]}`

// inner is a request inside of another, or behind it.
const inner = "GET /admin HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n"

// smuggled reads what reached an upstream as a server does, and succeeds where there is
// a request for anything but /x.
func smuggled(text string) error {
	in := bufio.NewReader(strings.NewReader(text))
	for n := 0; ; n++ {
		r, err := http.ReadRequest(in)
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%d requests for /x reached the upstream, and nothing else", n)
		} else if err != nil {
			return fmt.Errorf("after %d requests for /x: %w", n, err)
		}
		if r.URL.Path != "/x" || r.Host != "api.example.com" {
			return nil
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return fmt.Errorf("the %d. request for /x has no end: %w", n+1, err)
		}
	}
}

// lastReply is one after which the connection is not used again, so that each row has
// its own.
const lastReply = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"

// Bodies where readers expect none, and lengths that are not theirs: what follows the
// head is a body at the upstream, or a request that was judged.
func TestAttackBodiesOfBodiless(t *testing.T) {
	w := newWorld(t, onlyX)
	for _, method := range []string{"GET", "HEAD", "DELETE", "OPTIONS"} {
		line := method + " /x HTTP/1.1\r\nHost: api.example.com\r\n"
		for name, send := range map[string]string{
			"a request as body":              fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", line, len(inner), inner),
			"a request as chunked body":      fmt.Sprintf("%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", line, len(inner), inner),
			"a body longer than its length":  line + "Content-Length: 3\r\n\r\nabc" + inner,
			"a request where no body is":     line + "\r\n" + inner,
			"a body shorter than its length": fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", line, len(inner)+50, inner),
		} {
			s := w.sink(443, lastReply, "api.example.com") // its own: what broke off may still arrive
			attack.Stopped(t, "H21", method+", "+name,
				func(t *testing.T) error { // an upstream that ignores lengths reads it
					if err := s.direct(t, send); err != nil {
						return err
					}
					return smuggled(s.text()[strings.Index(s.text(), "GET /admin"):])
				},
				func(t *testing.T) error {
					before := len(s.text())
					c := w.tls("api.example.com", 443, "http/1.1")
					defer c.Close()
					io.WriteString(c, send)
					drain(c, 400*time.Millisecond)
					return smuggled(s.text()[before:])
				})
		}
	}
	up := w.upstream(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, "api.example.com")
	for _, method := range []string{"GET", "DELETE"} {
		req, _ := http.NewRequest(method, "https://api.example.com/x", strings.NewReader(inner))
		resp, err := w.client(false).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := up.Requests(); string(got[len(got)-1].Body) != inner {
			t.Errorf("%s: the body did not arrive: %+v", method, got)
		}
	}
	stopped(t, "H21", "a secret in the body of a GET", false, request("GET", "https://api.example.com/x", strings.NewReader("x "+canary+" y")))
	stopped(t, "H21", "a secret in the body of a GET over h2", true, request("GET", "https://api.example.com/x", strings.NewReader("x "+canary+" y")))
}

// More bytes that parsers read in two ways (RFC 9112 sections 2.2, 3, 5 and 7): what
// leaves is what was judged, or nothing.
func TestAttackMessageForms(t *testing.T) {
	const x = "GET /x HTTP/1.1\r\nHost: api.example.com\r\n"
	chunked := "POST /x HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n"
	w := newWorld(t, onlyX)
	for _, row := range []struct{ id, name, send string }{
		{"H12", "bare LF for line ends", "GET /admin HTTP/1.1\nHost: api.example.com\n\n"},
		{"H12", "bare CR for line ends", "GET /x HTTP/1.1\rHost: api.example.com\rX: GET /admin HTTP/1.1\r\r" + inner},
		{"H12", "bare CR in a value", x + "X: a\rGET /admin HTTP/1.1\r\n\r\n" + inner},
		{"H16", "NUL in a value", x + "X: a\x00b\r\n\r\n" + inner},
		{"H15", "fold of Content-Length", "POST /x HTTP/1.1\r\nHost: api.example.com\r\nContent-Length:\r\n 3\r\n\r\nabc" + inner},
		{"H15", "fold of Transfer-Encoding", "POST /x HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + inner},
		{"H15", "fold of Host", "GET /admin HTTP/1.1\r\nHost:\r\n api.example.com\r\n\r\n"},
		{"H16", "space before the colon of Content-Length", "POST /x HTTP/1.1\r\nHost: api.example.com\r\nContent-Length : 3\r\n\r\nabc" + inner},
		{"H16", "empty name", x + ": GET /admin\r\n\r\n" + inner},
		{"H16", "no colon", x + "GET /admin HTTP/1.1\r\n\r\n" + inner},
		{"H09", "Transfer-Encoding of HTTP/1.0", "POST /x HTTP/1.0\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n" + inner},
		{"H09", "Transfer-Encoding of two names", "POST /x HTTP/1.1\r\nHost: api.example.com\r\nTransfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + inner},
		{"H09", "Transfer-Encoding nominated by Connection", "POST /x HTTP/1.1\r\nHost: api.example.com\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner},
		{"H10", "Content-Length nominated by Connection", "POST /x HTTP/1.1\r\nHost: api.example.com\r\nConnection: Content-Length\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + inner},
		{"H10", "zeros before the length", "POST /x HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 0000000000000000000000003\r\n\r\nabc" + inner},
		{"H10", "an underscore in the length", "POST /x HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 1_0\r\n\r\n0123456789" + inner},
		{"H12", "a chunk size with a sign", chunked + "+3\r\nabc\r\n0\r\n\r\n" + inner},
		{"H12", "a chunk size with an underscore", chunked + "0_3\r\nabc\r\n0\r\n\r\n" + inner},
		{"H12", "a chunk that ends in two bytes that are no CRLF", chunked + "3\r\nabcXY0\r\n\r\n" + inner},
		{"H12", "bare LF behind a chunk", chunked + "3\r\nabc\n0\r\n\r\n" + inner},
		{"H12", "bare CR behind a size", chunked + "3\rX\nabc\r\n0\r\n\r\n" + inner},
		{"H12", "an extension that is a request", chunked + "3;\r\nabc\r\n0;x=\"\r\n\r\n" + inner + "\"\r\n\r\n"},
		{"H12", "a last chunk of many zeros", chunked + "000000000000000000000000\r\n\r\n" + inner},
		{"H13", "a trailer that is a request line", chunked + "0\r\nGET /admin HTTP/1.1\r\nHost: api.example.com\r\n\r\n"},
		{"H13", "a trailer without end", chunked + "0\r\nX: y\r\n" + inner},
		{"H22", "100-continue, and a request for the body", "POST /x HTTP/1.1\r\nHost: api.example.com\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n" + inner},
		{"H22", "two expectations", "POST /x HTTP/1.1\r\nHost: api.example.com\r\nExpect: 100-continue\r\nExpect: 200-ok\r\nContent-Length: 3\r\n\r\nabc" + inner},
		{"H22", "100-continue in other letters, among others", "POST /x HTTP/1.1\r\nHost: api.example.com\r\nExpect: y, 100-CONTINUE\r\nContent-Length: 3\r\n\r\nabc" + inner},
		{"W03", "h2c upgrade", x + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + inner},
		{"W03", "upgrade to TLS", x + "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n\r\n" + inner},
		{"W03", "upgrade to two protocols", x + "Connection: Upgrade\r\nUpgrade: h2c, websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" + inner},
		{"H27", "HTTP/0.9 behind a request", x + "\r\nGET /admin\r\n"},
		{"H27", "a version with more digits", "GET /admin HTTP/1.10\r\nHost: api.example.com\r\n\r\n"},
		{"H27", "a version in small letters", "GET /admin http/1.1\r\nHost: api.example.com\r\n\r\n"},
		{"H27", "two spaces in the request line", "GET  /admin HTTP/1.1\r\nHost: api.example.com\r\n\r\n"},
		{"H27", "a tab in the request line", "GET\t/admin\tHTTP/1.1\r\nHost: api.example.com\r\n\r\n"},
		{"H27", "empty lines before", "\r\n\r\n\r\nGET /admin HTTP/1.1\r\nHost: api.example.com\r\n\r\n"},
		{"H27", "a NUL before", "\x00" + inner},
		{"H27", "a byte order mark before", "\xef\xbb\xbf" + inner},
		{"H01", "absolute form of another scheme", "GET ftp://api.example.com/x HTTP/1.1\r\nHost: api.example.com\r\n\r\n" + inner},
		{"H01", "absolute form of the other scheme", "GET http://api.example.com/x HTTP/1.1\r\nHost: api.example.com\r\n\r\n" + inner},
		{"H01", "absolute form with another port", "GET https://api.example.com:8443/x HTTP/1.1\r\nHost: api.example.com\r\n\r\n" + inner},
		{"H01", "absolute form without a host", "GET https:///x HTTP/1.1\r\nHost: api.example.com\r\n\r\n" + inner},
		{"H04", "a list of hosts", "GET /x HTTP/1.1\r\nHost: api.example.com, evil.example.com\r\n\r\n" + inner},
		{"H04", "user information in Host", "GET /x HTTP/1.1\r\nHost: evil.example.com@api.example.com\r\n\r\n" + inner},
		{"H04", "a path in Host", "GET /x HTTP/1.1\r\nHost: api.example.com/admin\r\n\r\n" + inner},
		{"H04", "a tab behind Host", "GET /admin HTTP/1.1\r\nHost: api.example.com\t\r\n\r\n"},
	} {
		s := w.sink(443, lastReply, "api.example.com")
		attack.Stopped(t, row.id, row.name,
			func(t *testing.T) error { return s.direct(t, row.send) },
			func(t *testing.T) error {
				before := len(s.text())
				c := w.tls("api.example.com", 443, "http/1.1")
				defer c.Close()
				io.WriteString(c, row.send)
				reply := drain(c, 400*time.Millisecond)
				got := s.text()[before:]
				if err := smuggled(got); err == nil {
					t.Logf("the upstream got %q", got)
					return nil
				} else if got != "" {
					return err
				}
				line, _, _ := strings.Cut(reply, "\r\n")
				return errors.New("nothing left: " + line)
			})
	}
	for _, d := range w.dials() {
		if d.Addr() != public {
			t.Errorf("dialled %s", d)
		}
	}
}
