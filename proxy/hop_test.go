package proxy_test

import (
	"crypto/x509"
	"net/netip"
	"strings"
	"testing"

	"bottled/proxy"
	"bottled/routes"
	"bottled/upstreamtest"
)

// hop is a proxy of the test's own, which leads to where a world says.
type hop struct {
	*upstreamtest.Proxy
	roots *x509.CertPool
}

// newHop starts a proxy on an address of this machine; if secure, it is spoken to in
// TLS and is proxy.example.net.
func newHop(t *testing.T, address string, secure bool) *hop {
	t.Helper()
	authority, err := upstreamtest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	roots := authority.Pool()
	if !secure {
		authority = nil
	}
	p, err := upstreamtest.NewProxy(address, authority, "proxy.example.net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return &hop{p, roots}
}

// via sends everything through h, which is known by name or by its address, with that
// credential.
func via(h *hop, name string, auth *routes.Auth, token func() string) option {
	return func(w *world, c *proxy.Config) {
		a, err := routes.ParseAuthority(h.Addr.String(), 0)
		if err != nil {
			panic(err)
		}
		if name != "" {
			n, err := routes.ParseAuthority(name, h.Addr.Port())
			if err != nil {
				panic(err)
			}
			a.Host = n.Host
			w.resolve[name] = []netip.Addr{h.Addr.Addr()}
		}
		h.Lead = func(authority string) string {
			_, port, _ := strings.Cut(authority, ":")
			return w.leads(port)
		}
		w.at(h.Addr.Port(), h.Addr.String())
		c.Upstream = &proxy.Upstream{TLS: h.TLS(), Authority: a, Roots: h.roots, Auth: auth, Token: tokenOf(token)}
	}
}
