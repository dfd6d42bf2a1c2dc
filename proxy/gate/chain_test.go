package gate

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"bottled/attack"
)

// Through a chain the names are judged as without it, addresses too, and nothing is
// dialled but the proxy, wherever it is but at a metadata service.
func TestAttackChain(t *testing.T) {
	var dialled []netip.AddrPort
	var asked []string
	dialler := func(_ context.Context, _ string, a netip.AddrPort) (net.Conn, error) {
		dialled = append(dialled, a)
		return opened{}, nil
	}
	chained := func(proxy string, resolver answers) *Gate {
		dialled, asked = nil, nil
		g := New(resolver, dialler, func() ([]netip.Addr, error) { return addrs("198.41.0.4"), nil }, time.Second)
		g.Allow([]string{"a.example.com", "10.9.8.7", "169.254.169.254"})
		g.Through(Chain{Host: proxy, Port: 3128, Tunnel: func(_ context.Context, c net.Conn, authority string) (net.Conn, error) {
			asked = append(asked, authority)
			return c, nil
		}})
		return g
	}
	// a.example.com resolves to nothing: nobody here may look it up.
	names := answers{"proxy.example.net.": addrs("192.168.7.7"), "meta.example.net.": addrs("169.254.169.254"), "v6.example.net.": addrs("fd12::1")}
	for _, proxy := range []struct{ host, at string }{
		{"proxy.example.net", "192.168.7.7:3128"}, {"v6.example.net", "[fd12::1]:3128"}, {"127.0.0.1", "127.0.0.1:3128"}, {"::1", "[::1]:3128"},
		{"198.41.0.4", "198.41.0.4:3128"}, {"93.184.215.14", "93.184.215.14:3128"},
	} {
		g := chained(proxy.host, names)
		_, err := g.Dial(t.Context(), Target{Host: "a.example.com", Port: 8443})
		if err != nil || len(dialled) != 1 || dialled[0].String() != proxy.at || len(asked) != 1 || asked[0] != "a.example.com:8443" {
			t.Errorf("%s: %v, dialled %v, asked for %q", proxy.host, err, dialled, asked)
		}
	}
	control := func(*testing.T) error {
		_, err := chained("proxy.example.net", names).Dial(t.Context(), Target{Host: "a.example.com", Port: 443})
		return err
	}
	private := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16")}
	for _, row := range []struct {
		id, name, proxy string
		target          Target
	}{
		{"C09", "a name that the mirror does not have", "proxy.example.net", Target{Host: "evil.example.com", Port: 443, AllowPrivate: private}},
		{"C09", "no name", "proxy.example.net", Target{Port: 443}},
		{"C09", "no port", "proxy.example.net", Target{Host: "a.example.com"}},
		{"K25", "a private address", "proxy.example.net", Target{Host: "10.9.8.7", Port: 443}},
		{"K25", "a metadata service", "proxy.example.net", Target{Host: "169.254.169.254", Port: 80, AllowPrivate: private}},
		{"K25", "a metadata service as the proxy", "169.254.169.254", Target{Host: "a.example.com", Port: 443}},
		{"K25", "a name of a metadata service as the proxy", "meta.example.net", Target{Host: "a.example.com", Port: 443}},
		{"C09", "a proxy without address", "gone.example.net", Target{Host: "a.example.com", Port: 443}},
	} {
		attack.Stopped(t, row.id, "chained: "+row.name, control, func(*testing.T) error {
			_, err := chained(row.proxy, names).Dial(t.Context(), row.target)
			if len(dialled) > 0 || len(asked) > 0 {
				return nil
			}
			return err
		})
	}
	if _, err := chained("proxy.example.net", names).Dial(t.Context(), Target{Host: "10.9.8.7", Port: 443, AllowPrivate: private}); err != nil || asked[0] != "10.9.8.7:443" {
		t.Errorf("an address that the route opens: %v, %q", err, asked)
	}
}

// A tunnel that does not come about closes the connection, and says of whom it was.
func TestChainError(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	g := New(answers{}, func(context.Context, string, netip.AddrPort) (net.Conn, error) { return ours, nil },
		func() ([]netip.Addr, error) { return nil, nil }, time.Second)
	g.Allow([]string{"a.example.com"})
	cause := errors.New("it said no")
	g.Through(Chain{Host: "::1", Port: 3128, Tunnel: func(context.Context, net.Conn, string) (net.Conn, error) { return nil, cause }})
	_, err := g.Dial(t.Context(), Target{Host: "a.example.com", Port: 443})
	var chain *ChainError
	if !errors.As(err, &chain) || chain.Proxy != "[::1]:3128" || !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
	if _, err := ours.Write([]byte("x")); err == nil {
		t.Error("the connection is open")
	}
}
