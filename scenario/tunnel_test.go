package scenario

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// TestExplicitProxyUse is for programs that have a proxy set: the same table, by
// CONNECT and by absolute form.
func TestExplicitProxyUse(t *testing.T) {
	w := newWorld(t)
	secure, plain := w.https(t, "api.example.com", greet), w.http(t, "plain.example.com", greet)
	b := bottle{manifest: w.only("api.example.com", "plain.example.com")}
	const proxy = "export http_proxy=http://egress-proxy:8080 https_proxy=http://egress-proxy:8080\n"
	if r := w.sh(t, b, proxy+"curl -sS https://api.example.com/ http://plain.example.com/"); strings.Count(r.stdout, greeting) != 2 || r.code != 0 {
		t.Errorf("%v", r)
	}
	if len(secure.Requests()) != 1 || len(plain.Requests()) != 1 || !secure.Requests()[0].TLS {
		t.Errorf("%+v %+v", secure.Requests(), plain.Requests())
	}
	for _, h := range []string{"Proxy-Connection", "Proxy-Authorization", "Via", "X-Forwarded-For"} {
		if got := plain.Requests()[0].Header.Get(h); got != "" {
			t.Errorf("the upstream got %s: %s", h, got)
		}
	}
	r := w.sh(t, b, proxy+"curl -sS https://other.example.com/; curl -sS http://other.example.com/")
	if strings.Count(r.stdout+r.stderr, "host-not-allowed")+strings.Count(r.stderr, "403") < 2 {
		t.Errorf("denied: %v", r)
	}
}

const halfClose = `
import socket, sys
s = socket.create_connection((sys.argv[1], 5432), timeout=10)
s.sendall(b"select 1;" * 1000)
s.shutdown(socket.SHUT_WR)
answer = b""
while chunk := s.recv(65536):
    answer += chunk
print(answer.decode())`

// TestOpaqueTCP speaks a protocol that nobody parses, half-closed: the server
// answers when it has seen the end.
func TestOpaqueTCP(t *testing.T) {
	w := newWorld(t)
	serve := func(name string) (addr netip.Addr, opened chan int) {
		l, err := net.Listen("tcp", netip.AddrPortFrom(address(), 5432).String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		opened = make(chan int, 100)
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				opened <- 1
				text, _ := io.ReadAll(conn)
				fmt.Fprintf(conn, "server: %d bytes, then their end", len(text))
				conn.Close()
			}
		}()
		addr = l.Addr().(*net.TCPAddr).AddrPort().Addr()
		w.names.Set(name, addr)
		return addr, opened
	}
	_, opened := serve("db.example.com")
	_, other := serve("other-db.example.com")
	b := bottle{manifest: w.manifest(`- {host: db.example.com, protocol: tcp, ports: [5432], allow_private: [127.0.0.0/8]}`)}
	if r := w.run(t, b, "/usr/bin/python3", "-c", halfClose, "db.example.com"); !r.ok("server: 9000 bytes") || len(opened) != 1 {
		t.Errorf("%v", r)
	}
	if r := w.run(t, b, "/usr/bin/python3", "-c", halfClose, "other-db.example.com"); strings.Contains(r.stdout, "server") || len(other) != 0 {
		t.Errorf("another host: %v", r)
	}
	b.manifest = w.only("db.example.com") // HTTP only
	if r := w.run(t, b, "/usr/bin/python3", "-c", halfClose, "db.example.com"); strings.Contains(r.stdout, "server") || len(opened) != 1 {
		t.Errorf("not a tcp route: %v", r)
	}
}

// TestTLSPassedThrough shows the program the upstream's own certificate, which is
// why only a program that trusts its authority takes it.
func TestTLSPassedThrough(t *testing.T) {
	w := newWorld(t)
	up := w.https(t, "pinned.example.com", greet)
	b := bottle{
		manifest: w.manifest(`- {host: pinned.example.com, protocol: tls-passthrough, allow_private: [127.0.0.0/8]}`),
		dir:      workDir(t, map[string]string{"ca.pem": string(w.authority.PEM())}),
	}
	if r := w.run(t, b, "curl", "-sS", "--cacert", "ca.pem", "https://pinned.example.com/"); !r.ok(greeting) {
		t.Errorf("%v", r)
	}
	if r := w.run(t, b, "curl", "-sS", "https://pinned.example.com/"); r.code != 60 {
		t.Errorf("with the bottle's own authorities: %v", r)
	}
	before := up.Opened()
	// The name is the hello's: it is that one which is judged.
	if r := w.run(t, b, "curl", "-sSk", "--connect-to", "other.example.com:443:pinned.example.com:443", "https://other.example.com/"); strings.Contains(r.stdout, greeting) || up.Opened() != before {
		t.Errorf("another name: %v", r)
	}
}
