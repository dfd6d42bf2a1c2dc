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

type answers map[string][]netip.Addr

func (a answers) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if addrs, ok := a[host]; ok {
		return addrs, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func addrs(list ...string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

// open dials nothing and says which address was taken.
type opened struct{ net.Conn }

func TestAttackAddresses(t *testing.T) {
	own := addrs("198.41.0.4")
	rows := []struct{ id, addr string }{
		{"T16", "64:ff9b::a9fe:a9fe"}, {"T16", "64:ff9b::10.0.0.1"}, {"T16", "2002:7f00:1::"}, {"T16", "2001:0:53aa::1"}, {"T16", "64:ff9b:1::1"},
		{"K25", "127.0.0.1"}, {"K25", "10.0.0.1"}, {"K25", "172.16.0.1"}, {"K25", "192.168.1.1"}, {"K25", "100.64.0.2"}, {"K25", "198.41.0.4"},
		{"K25", "169.254.169.254"}, {"K25", "169.254.1.1"}, {"K25", "100.100.100.200"}, {"K25", "168.63.129.16"}, {"K25", "0.0.0.0"}, {"K25", "0.1.2.3"},
		{"K25", "198.18.0.1"}, {"K25", "198.19.255.255"}, {"K25", "240.0.0.1"}, {"K25", "255.255.255.255"}, {"K25", "224.0.0.251"},
		{"K25", "192.0.2.1"}, {"K25", "198.51.100.1"}, {"K25", "203.0.113.1"}, {"K25", "192.0.0.8"}, {"K25", "192.88.99.1"},
		{"K25", "::"}, {"K25", "::1"}, {"K25", "::ffff:127.0.0.1"}, {"K25", "::ffff:169.254.169.254"}, {"K25", "::127.0.0.1"}, {"K25", "::ffff:0:10.0.0.1"},
		{"K25", "fe80::1"}, {"K25", "fe80::1%eth0"}, {"K25", "fc00::1"}, {"K25", "fd00:ec2::254"}, {"K25", "fd20:ce::254"}, {"K25", "fec0::1"},
		{"K25", "ff02::fb"}, {"K25", "2001:db8::1"}, {"K25", "100::1"}, {"K25", "3fff::1"}, {"K25", "5f00::1"}, {"K25", "4000::1"},
	}
	for _, row := range rows {
		dial := func(self func() ([]netip.Addr, error), check bool) error {
			taken := false
			g := New(answers{"rebound.example.com.": addrs(row.addr)},
				func(context.Context, string, netip.AddrPort) (net.Conn, error) { taken = true; return opened{}, nil }, self, time.Second)
			g.Allow([]string{"rebound.example.com"})
			var err error
			if check {
				_, err = g.Dial(t.Context(), Target{Host: "rebound.example.com", Port: 443})
			} else { // what a dialler without the table does
				_, err = g.dial(t.Context(), "tcp", netip.AddrPortFrom(netip.MustParseAddr(row.addr), 443))
			}
			if taken {
				return nil
			}
			return err
		}
		self := func() ([]netip.Addr, error) { return own, nil }
		attack.Stopped(t, row.id, "name resolves to "+row.addr,
			func(*testing.T) error { return dial(self, false) },
			func(*testing.T) error { return dial(self, true) })
	}
}

func TestRefuse(t *testing.T) {
	allow := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("203.0.113.0/24")}
	for addr, open := range map[string]bool{
		"93.184.215.14": true, "2606:2800::1": true, "64:ff9b::5db8:d70e": true, // the last is NAT64 of the first
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "fd12::1": true, "100.64.0.9": true, "203.0.113.9": true, // opened
		"192.168.0.1": false, "192.0.2.1": false, "64:ff9b::10.1.2.3": false,
		"169.254.169.254": false, "169.254.1.1": false, "100.100.100.200": false, "fd00:ec2::254": false, // never
	} {
		if err := Refuse(netip.MustParseAddr(addr), allow, nil); (err == nil) != open {
			t.Errorf("%s: %v", addr, err)
		}
	}
	if Refuse(netip.Addr{}, nil, nil) == nil {
		t.Error("the zero address is open")
	}
}

// The gate says no to a name that is not in its own set, whatever the caller was
// told; and the zero gate and the zero target are closed.
func TestAttackMirror(t *testing.T) {
	dialled := 0
	resolver := answers{"evil.example.com.": addrs("93.184.215.14"), "a.example.com.": addrs("93.184.215.14"), "a.b.example.com.": addrs("93.184.215.14")}
	g := New(resolver, func(context.Context, string, netip.AddrPort) (net.Conn, error) { dialled++; return opened{}, nil },
		func() ([]netip.Addr, error) { return nil, nil }, time.Second)
	dial := func(host string, port uint16) error {
		before := dialled
		_, err := g.Dial(t.Context(), Target{Host: host, Port: port})
		if dialled > before {
			return nil
		}
		return err
	}
	for host, patterns := range map[string][]string{
		"evil.example.com": {"a.example.com"}, "a.example.com": nil, "example.com": {"*.example.com"}, "evilexample.com": {"*.example.com"}, "": {""},
		"a.b.example.com": {"*.c.example.com", "*", "*."},
	} {
		attack.Stopped(t, "C09", "first gate broken for "+host,
			func(*testing.T) error { g.Allow([]string{"a.example.com"}); return dial("a.example.com", 443) },
			func(*testing.T) error { g.Allow(patterns); return dial(host, 443) })
	}
	g.Allow([]string{"a.example.com", "*.example.com"})
	if err := dial("a.b.example.com", 443); err != nil {
		t.Error(err)
	}
	if dial("a.example.com", 0) == nil || dial("", 443) == nil {
		t.Error("the zero target is dialled")
	}
}

// Whatever is not known refuses: the host's own addresses, an empty answer.
func TestFailsClosed(t *testing.T) {
	g := New(answers{"a.example.com.": nil}, func(context.Context, string, netip.AddrPort) (net.Conn, error) { t.Error("dialled"); return nil, nil },
		func() ([]netip.Addr, error) { return nil, errors.New("no permission") }, time.Second)
	g.Allow([]string{"a.example.com"})
	var refusal *Refusal
	if _, err := g.Dial(t.Context(), Target{Host: "a.example.com", Port: 1}); !errors.As(err, &refusal) {
		t.Error(err)
	}
	g.self = func() ([]netip.Addr, error) { return nil, nil }
	if _, err := g.Dial(t.Context(), Target{Host: "a.example.com", Port: 1}); !errors.Is(err, ErrResolve) {
		t.Error(err)
	}
}

// The first address hangs; the other family is tried meanwhile, and the loser is
// closed. A private address among public ones is never tried.
func TestRace(t *testing.T) {
	var tried []netip.Addr
	g := New(answers{"a.example.com.": addrs("2606:2800::1", "10.0.0.1", "93.184.215.14")},
		func(ctx context.Context, _ string, a netip.AddrPort) (net.Conn, error) {
			if a.Addr().Is6() {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			tried = append(tried, a.Addr())
			return opened{}, nil
		}, func() ([]netip.Addr, error) { return nil, nil }, 5*time.Second)
	g.Allow([]string{"a.example.com"})
	start := time.Now()
	if _, err := g.Dial(t.Context(), Target{Host: "a.example.com", Port: 443}); err != nil || time.Since(start) > 2*time.Second {
		t.Fatal(err, time.Since(start))
	}
	if len(tried) != 1 || tried[0] != netip.MustParseAddr("93.184.215.14") {
		t.Fatal(tried)
	}
}
