package scenario

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"bottled/upstreamtest"
)

// world is the outside: names, an authority that upstreams are certified by, and
// a daemon that asks that name server. Each upstream has an address of its own, and
// the ports that such things have in life.
type world struct {
	*daemon
	names     *upstreamtest.NameServer
	authority *upstreamtest.Authority
}

func newWorld(t *testing.T, wrap ...string) *world {
	t.Helper()
	return newWorldWith(t, wrap)
}

// newWorldWith has more flags for its daemon.
func newWorldWith(t *testing.T, wrap []string, flags ...string) *world {
	t.Helper()
	names, err := upstreamtest.NewNameServer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { names.Close() })
	authority, err := upstreamtest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return &world{startDaemon(t, wrap, append(flags, "--resolver", names.Addr())...), names, authority}
}

var addresses atomic.Uint32

// address is one of loopback's that nothing else here uses.
func address() netip.Addr {
	pid := os.Getpid()
	return netip.AddrFrom4([4]byte{127, byte(100 + pid>>8&63), byte(pid), byte(addresses.Add(1) % 255)})
}

// manifest makes one of routes in YAML, whose upstreams the world's authority certifies.
func (w *world) manifest(routes string) string {
	return "version: 1\ndefaults: false\nupstream_ca: |\n" + indent(string(w.authority.PEM()), "  ") +
		"egress_proxy:\n  routes:\n" + indent(strings.Trim(routes, "\n"), "    ")
}

// only is a manifest that allows names, any path.
func (w *world) only(names ...string) string {
	var routes strings.Builder
	for _, name := range names {
		fmt.Fprintf(&routes, "- {host: %s, allow_private: [127.0.0.0/8]}\n", name)
	}
	return w.manifest(routes.String())
}

func indent(text, by string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(by + line)
	}
	return strings.TrimRight(b.String(), "\n ") + "\n"
}

// https starts an upstream for name on port 443 of an address of its own.
func (w *world) https(t *testing.T, name string, answer http.HandlerFunc) *upstreamtest.Server {
	t.Helper()
	return w.httpsOn(t, name, address(), 443, answer)
}

func (w *world) httpsOn(t *testing.T, name string, addr netip.Addr, port uint16, answer http.HandlerFunc) *upstreamtest.Server {
	t.Helper()
	s, err := upstreamtest.TLS(netip.AddrPortFrom(addr, port).String(), w.authority, []string{name}, answer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w.names.Set(name, addr)
	return s
}

// http starts one for http on port 80.
func (w *world) http(t *testing.T, name string, answer http.HandlerFunc) *upstreamtest.Server {
	t.Helper()
	addr := address()
	s, err := upstreamtest.Plain(net.JoinHostPort(addr.String(), "80"), answer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w.names.Set(name, addr)
	return s
}

const greeting = "hello-from-outside"

func greet(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, greeting) }
