package bottle

import (
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"bottled/bpf"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func TestReach(t *testing.T) {
	dns := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.53:53")}
	anywhere := prefix("::/0")
	for _, c := range []struct {
		manifest string
		want     bpf.Reach
	}{
		{"defaults: false", bpf.Reach{Resolvers: dns}},
		{"defaults: false\negress: {allowlist: [docs.example.com]}", bpf.Reach{Openings: []bpf.Opening{{Port: 80}, {Port: 443}}, Resolvers: dns}},
		{"defaults: false\negress_proxy: {routes: [{host: db.example.com, protocol: tcp, ports: [5432], allow_private: [10.0.0.0/8, 'fd00::/8']}]}",
			bpf.Reach{Openings: []bpf.Opening{{Port: 5432}, {Port: 5432, To: prefix("10.0.0.0/8")}, {Port: 5432, To: prefix("fd00::/8")}}, Resolvers: dns}},
		// Through a proxy, the routes' own ports are the proxy's to reach.
		{"upstream_proxy: {url: 'http://proxy.example.com:3128'}", bpf.Reach{Openings: []bpf.Opening{{Port: 3128, To: anywhere}}, Resolvers: dns}},
		{"upstream_proxy: {url: 'http://10.1.2.3:3128'}", bpf.Reach{Openings: []bpf.Opening{{Port: 3128, To: prefix("10.1.2.3/32")}}}},
		{"upstream_proxy: {url: 'http://[fd00::3]:3128'}", bpf.Reach{Openings: []bpf.Opening{{Port: 3128, To: prefix("fd00::3/128")}}}},
	} {
		p, err := prepare(root, CreateOptions{Command: []string{"true"}, Dir: "/", Manifest: []byte("version: 1\n" + c.manifest + "\n")})
		if err != nil {
			t.Fatalf("%s: %v", c.manifest, err)
		}
		got, err := reach(p.table.effective, p.record(root, "x", time.Now()).Chain.authority(), dns)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: reaches %v, want %v, %v", c.manifest, got, c.want, err)
		}
	}
	if _, err := reach(nil, "no authority", dns); err == nil {
		t.Error("a proxy that cannot be read opens something")
	}
}

// The name servers of a fence are those that Go's resolver would ask.
func TestHostResolvers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	list := func(text string) string {
		write(t, path, text)
		var all []string
		for _, a := range hostResolvers(path) {
			all = append(all, a.String())
		}
		return strings.Join(all, " ")
	}
	for text, want := range map[string]string{
		"nameserver 127.0.0.53\noptions edns0 trust-ad\n":                       "127.0.0.53:53",
		"# nameserver 192.0.2.1\n;nameserver 192.0.2.1\nnameserver 192.0.2.2":   "192.0.2.2:53",
		"nameserver dns.example.com\nnameserver\nnameserver\t2001:db8::1 # one": "[2001:db8::1]:53",
		"nameserver fe80::1%eth0\nnameserver ::ffff:192.0.2.1\n":                "[fe80::1]:53 192.0.2.1:53",
		strings.Repeat("nameserver 192.0.2.1\n", 5):                             "192.0.2.1:53 192.0.2.1:53 192.0.2.1:53",
		"": "127.0.0.1:53 [::1]:53",
	} {
		if got := list(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	if err := os.Remove(path); err != nil || len(hostResolvers(path)) != 2 {
		t.Errorf("no file: %v, %v", hostResolvers(path), err)
	}
	if _, err := newResolvers("dns.example.com:53"); err == nil {
		t.Error("a name was taken for the address of a resolver")
	}

	r := &resolvers{path: path}
	r.set(hostResolvers(path))
	changed := make(chan struct{})
	go r.follow(t.Context(), func() { changed <- struct{}{} })
	write(t, path, "nameserver 192.0.2.7\n")
	<-changed
	if got := r.get(); len(got) != 1 || got[0].String() != "192.0.2.7:53" {
		t.Errorf("followed to %v", got)
	}
}

// A fence follows the host's name servers, of a bottle that runs and of one that is adopted.
func TestFenceFollowsTheHost(t *testing.T) {
	m := hostManager(t)
	info := start1(t, m, "resolving")
	asks := func(m *Manager) []netip.AddrPort {
		t.Helper()
		b, err := m.find(root, info.ID)
		if err != nil {
			t.Fatal(err)
		}
		r, err := b.fence.Reach()
		if err != nil {
			t.Fatal(err)
		}
		return r.Resolvers
	}
	host := slices.SortedFunc(slices.Values(m.resolvers.get()), netip.AddrPort.Compare)
	if got := asks(m); !slices.Equal(got, slices.Compact(host)) {
		t.Errorf("asks %v, the host %v", got, host)
	}
	other := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")}
	m.resolvers.set(other)
	m.askOthers()
	if got := asks(m); !slices.Equal(got, other) {
		t.Errorf("asks %v, not %v", got, other)
	}
	// They change while an update is under way, which began with the ones before.
	b, err := m.find(root, info.ID)
	if err != nil {
		t.Fatal(err)
	}
	before, err := b.fence.Reach()
	if err != nil {
		t.Fatal(err)
	}
	others := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.54:53")}
	m.resolvers.set(others)
	m.askOthers()
	if err := b.fence.settle(before, m.resolvers); err != nil {
		t.Fatal(err)
	}
	if got := asks(m); !slices.Equal(got, others) {
		t.Errorf("after an update it asks %v, not %v", got, others)
	}
	next := restart(t, m)
	if got := asks(next); !slices.Equal(got, slices.Compact(host)) {
		t.Errorf("after an adoption it asks %v, the host %v", got, host)
	}
}

// An enforcer that is its own is refused nothing: a name with addresses of every kind is
// resolved, sorted by Go, judged, and dialled where its route allows.
func TestFenceLetsTheEnforcerWork(t *testing.T) {
	w := newOutside(t)
	w.names.Set(apiHost, netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("169.254.169.254"),
		netip.MustParseAddr("10.99.0.1"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("fd00:ec2::254"))
	var kernel kernelEvents
	m := newManager(t, func(o *Options) {
		o.Policy, o.Resolver, o.Audit = floor(t, w.held(w.ref(), someUser.UID)), w.names.Addr(), &kernel
	})
	info, err := sleeper(t, m, someUser, "", w.toAPI(w.ref()))
	if err != nil {
		t.Fatal(err)
	}
	if status := call(t, m, info.ID, apiHost, w.api.Port()); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	b, err := m.find(root, info.ID)
	if err != nil {
		t.Fatal(err)
	}
	counts, err := b.fence.Counts()
	if err != nil || len(counts.Refused) > 0 || kernel.any() {
		t.Errorf("refused %v, %v", counts.Refused, err)
	}
}
