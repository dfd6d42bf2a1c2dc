package worker

import (
	"crypto/x509"
	"strings"
	"testing"

	"bottled/ca"
	"bottled/routes"
	"bottled/upstreamtest"
)

// TestAProxyWithoutItsCredential is refused at the start and in an update, which then
// changes nothing.
func TestAProxyWithoutItsCredential(t *testing.T) {
	bottleCA, err := ca.New("test", noon)
	if err != nil {
		t.Fatal(err)
	}
	start := func(tokens map[string]string) (*enforcer, error) {
		key, err := bottleCA.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return newEnforcer(Handoff{
			Routes: []byte(`{"routes": []}`), Generation: 1, CA: key.Reveal(), Tokens: tokens,
			Upstream: &Upstream{Authority: "127.0.0.1:3128", Scheme: "Basic", Username: "ci"},
		}, &sockets{})
	}
	if _, err := start(nil); err == nil || !strings.Contains(err.Error(), "upstream_proxy") {
		t.Errorf("at the start: %v", err)
	}
	e, err := start(map[string]string{routes.ProxySlot: "first"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.stop(t.Context())
	shown := func(want string) {
		t.Helper()
		if got, ok := e.proxyToken(); !ok || got.Reveal() != want {
			t.Errorf("the proxy is not shown %q", want)
		}
	}
	shown("first")
	next := Update{Generation: 2, Routes: []byte(`{"routes": []}`)}
	if err := e.update(next); err == nil || e.table().Generation() != 1 {
		t.Errorf("an update without it: %v", err)
	}
	shown("first")
	next.Keep = map[string]string{routes.ProxySlot: routes.ProxySlot}
	for _, base := range []uint64{0, 2} { // whose slot of this name may be another token
		next.Base = base
		if err := e.update(next); err == nil || e.table().Generation() != 1 {
			t.Errorf("an update that keeps what generation %d had: %v", base, err)
		}
	}
	next.Base = 1
	if err := e.update(next); err != nil {
		t.Error(err)
	}
	shown("first")
	if err := e.renew(Renewal{Generation: 2, Tokens: map[string]string{routes.ProxySlot: "second"}}); err != nil {
		t.Error(err)
	}
	shown("second")
	if err := e.renew(Renewal{Generation: 2, Tokens: map[string]string{routes.ProxySlot: "third"}, Expires: Expiries{routes.ProxySlot: noon.AddDate(-20, 0, 0)}}); err != nil {
		t.Error(err)
	}
	if _, ok := e.proxyToken(); ok {
		t.Error("one that has expired is shown")
	}
}

// TestTheAuthoritiesOfALeg: what a manifest trusts for upstreams is not trusted for the
// proxy, and what is trusted for the proxy is for what comes through it.
func TestTheAuthoritiesOfALeg(t *testing.T) {
	upstreams, proxies := newAuthority(t), newAuthority(t)
	h := Handoff{UpstreamCA: upstreams.PEM(), Upstream: &Upstream{TLS: true, Authority: "proxy.example.net:3129", CA: proxies.PEM()}}
	p, err := h.Upstream.configure(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	verified, err := h.upstreams(nil)
	if err != nil {
		t.Fatal(err)
	}
	roots := verified.pool()
	for _, c := range []struct {
		name  string
		roots *x509.CertPool
		by    *upstreamtest.Authority
		ok    bool
	}{
		{"the proxy by its own", p.Roots, proxies, true},
		{"the proxy by the upstreams'", p.Roots, upstreams, false},
		{"an upstream by the upstreams'", roots, upstreams, true},
		{"an upstream by the proxy's", roots, proxies, true},
	} {
		leaf, err := c.by.Leaf("proxy.example.net")
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(leaf.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cert.Verify(x509.VerifyOptions{DNSName: "proxy.example.net", Roots: c.roots}); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := (&Upstream{Authority: "proxy.example.net:3129", CA: []byte("none")}).configure(nil, nil); err == nil {
		t.Error("certificates that are none are taken")
	}
}

func newAuthority(t *testing.T) *upstreamtest.Authority {
	t.Helper()
	a, err := upstreamtest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return a
}
