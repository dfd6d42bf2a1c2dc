package dns

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"bottled/routes"
)

func host(t testing.TB, name string) routes.Host {
	t.Helper()
	h, err := routes.ParseSNI(name)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestPool(t *testing.T) {
	p := NewPool()
	now := time.Unix(0, 0)
	p.now = func() time.Time { return now }
	if addr, ok := p.Addr(routes.Host{}); ok {
		t.Errorf("the zero Host got %v", addr)
	}
	for i := range PoolSize {
		addr, ok := p.Addr(host(t, fmt.Sprintf("h%d.example.com", i)))
		if !ok || addr == Magic || !netip.MustParsePrefix("198.18.0.0/15").Contains(addr) {
			t.Fatalf("name %d: %v, %v", i, addr, ok)
		}
		now = now.Add(time.Millisecond)
	}
	// Full, and everything is in use.
	if addr, ok := p.Addr(host(t, "one.too.many")); ok {
		t.Fatalf("an address that is in use was given out: %v", addr)
	}
	// The first name is connected to and the second asked for: the third is the longest unused.
	now = now.Add(2 * poolHold)
	if h, ok := p.Name(poolAddr(0)); !ok || h != host(t, "h0.example.com") {
		t.Fatalf("Name = %v, %v", h, ok)
	}
	p.Addr(host(t, "h1.example.com"))
	addr, ok := p.Addr(host(t, "new.example.com"))
	if !ok || addr != poolAddr(2) {
		t.Fatalf("Addr = %v, %v; want that of the longest unused name", addr, ok)
	}
	if h, _ := p.Name(addr); h != host(t, "new.example.com") {
		t.Errorf("%v is still %v", addr, h)
	}
	if addr, _ := p.Addr(host(t, "h2.example.com")); addr == poolAddr(2) {
		t.Error("two names have one address")
	}
	if p.Len() != PoolSize {
		t.Errorf("Len = %d", p.Len())
	}
}

func TestPoolUnknown(t *testing.T) {
	p := NewPool()
	p.Addr(host(t, "a.example.com"))
	for _, s := range []string{"198.18.0.0", "198.18.0.255", "198.18.1.1", "198.19.255.255", "198.17.255.255", "127.0.0.1", "::1", "::", "255.255.255.255"} {
		if h, ok := p.Name(netip.MustParseAddr(s)); ok {
			t.Errorf("Name(%s) = %v", s, h)
		}
	}
	for _, addr := range []netip.Addr{Magic, netip.AddrFrom16(Magic.As16())} {
		if h, ok := p.Name(addr); !ok || !h.IsMagic() {
			t.Errorf("Name(%v) = %v, %v", addr, h, ok)
		}
	}
	if h, ok := p.Name(netip.Addr{}); ok {
		t.Errorf("Name of the zero address = %v", h)
	}
	if h, ok := p.Name(netip.MustParseAddr("::ffff:198.18.1.0")); !ok || h != host(t, "a.example.com") {
		t.Errorf("the mapped form: %v, %v", h, ok)
	}
}

// TestPoolOutlastsFlood holds the constants to each other: at the rate that a
// server reads, a flood of new names comes round to an address later than its
// name may still be in use.
func TestPoolOutlastsFlood(t *testing.T) {
	const round = time.Second * (PoolSize - QueryBurst) / QueryRate
	if round <= poolHold {
		t.Errorf("a flood comes round in %v, an address is held for %v", round, poolHold)
	}
}

func TestPoolConcurrent(t *testing.T) {
	p := NewPool()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 500 {
				h := host(t, fmt.Sprintf("h%d.example.com", i))
				addr, ok := p.Addr(h)
				if got, _ := p.Name(addr); !ok || got != h {
					t.Errorf("%v got %v, which is %v", h, addr, got)
				}
			}
		})
	}
	wg.Wait()
	if p.Len() != 500 {
		t.Errorf("Len = %d; want one address a name", p.Len())
	}
}
