package worker

import (
	"strings"
	"testing"

	"bottled/ca"
	"bottled/routes"
	"bottled/upstreamtest"
)

// TestAProxyWithoutItsCredential is refused at the start and in an update, which then
// changes nothing.
func TestAProxyWithoutItsCredential(t *testing.T) {
	authority, err := upstreamtest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
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
		}, &sockets{}, authority.Pool())
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
