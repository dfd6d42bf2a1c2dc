package proxy_test

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"

	"bottled/attack"
)

// keyRoute injects its credential as the query parameter "key".
const keyRoute = `{"routes": [{"host": "api.example.com", "auth_scheme": "raw", "auth_query": "key", "token_env": "EGRESS_PROXY_TOKEN_0"}]}`

// A parameter of the injected one's name, however it is written, does not stand beside
// it: an upstream that takes the first, or the last, would take the agent's own.
func TestAttackQueryParameters(t *testing.T) {
	w := newWorld(t, keyRoute)
	s := w.sink(443, okReply, "api.example.com")
	for name, query := range map[string]string{
		"the same name":                   "key=agents-own",
		"twice":                           "key=agents-own&x=1&key=agents-own",
		"another case":                    "KEY=agents-own",
		"a name that is encoded":          "%6b%65%79=agents-own",
		"behind a semicolon":              "x=1;key=agents-own",
		"behind an encoded name and ;":    "x=1;y=2;%6Bey=agents-own&z=1",
		"behind an entity":                "x=1&amp;key=agents-own",
		"an element of a list":            "key[]=agents-own",
		"an element of a list, encoded":   "key%5B0%5D=agents-own",
		"a space before the name":         "+key=agents-own",
		"a NUL behind the name":           "key%00=agents-own",
		"a second question mark":          "?key=agents-own",
		"a name that does not decode":     "k%zzy=agents-own",
		"behind ; a name that does not":   "x=1;k%zzy=agents-own",
		"a space behind the name":         "key+=agents-own",
		"behind 20,000 other parameters":  strings.Repeat("a&", 10000) + "key=agents-own",
		"a value that does not decode":    "key=%zz-agents-own",
		"no value, and one behind a name": "key&key=agents-own",
	} {
		send := "GET /x?" + query + " HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n"
		attack.Stopped(t, "H33", name,
			func(t *testing.T) error { return s.direct(t, send) },
			func(t *testing.T) error {
				before := len(s.text())
				raw(t, w.tls("api.example.com", 443, "http/1.1"), send)
				got := s.text()[before:]
				if strings.Contains(got, "agents-own") {
					t.Logf("the upstream got %.200q", got)
					return nil
				}
				if got != "" && strings.Count(got, "key="+url.QueryEscape(token)+" HTTP/1.1\r\n") != 1 {
					t.Errorf("not injected: %.200q", got)
				}
				return fmt.Errorf("%d bytes reached the upstream, without it", len(got))
			})
	}
	// What is not the credential's stays as it was, byte for byte.
	const others = "a=1;b=2&c=%zz&d=100%&e&=f&monkey=1&keys=2&x=key&y[key]=1"
	before := len(s.text())
	raw(t, w.tls("api.example.com", 443, "http/1.1"), "GET /x?"+others+" HTTP/1.1\r\nHost: api.example.com\r\n\r\n")
	if got := s.text()[before:]; !strings.HasPrefix(got, "GET /x?"+others+"&key=") {
		t.Errorf("the upstream got %q", got)
	}
}

// Parameters that look like more requests, or like another path, are part of the query.
func TestAttackQuerySmuggling(t *testing.T) {
	w := newWorld(t, `{"routes": [{"host": "api.example.com", "path_allowlist": ["/x"]}]}`)
	s := w.sink(443, okReply, "api.example.com")
	for name, target := range map[string]string{
		"a path below an encoded question mark": "/admin%3f/x",
		"a path before a question mark":         "/admin?/x",
		"a path before a semicolon":             "/admin;/x",
		"an encoded fragment":                   "/x%23/../admin",
		"an encoded line end":                   "/x%0d%0aGET%20/admin",
		"a raw tab":                             "/admin\t/x",
	} {
		send := "GET " + target + " HTTP/1.1\r\nHost: api.example.com\r\n\r\n"
		attack.Stopped(t, "P15", name,
			func(t *testing.T) error { return s.direct(t, send) },
			func(t *testing.T) error {
				c := w.tls("api.example.com", 443, "http/1.1")
				defer c.Close()
				before := len(s.text())
				io.WriteString(c, send)
				reply := drain(c, 2e9)
				if strings.Contains(s.text()[before:], "admin") {
					return nil
				}
				line, _, _ := strings.Cut(reply, "\r\n")
				return errors.New(line)
			})
	}
}
