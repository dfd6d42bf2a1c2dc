package dns

import (
	"container/list"
	"encoding/binary"
	"net/netip"
	"sync"
	"time"

	"bottled/routes"
)

// Magic is the synthetic address of the enforcer itself, under
// [routes.MagicHost] and [routes.ProxyHost]. No other name ever gets it.
var Magic = netip.AddrFrom4([4]byte{198, 18, 0, 1})

var magicHost = func() routes.Host {
	host, err := routes.ParseSNI(routes.MagicHost)
	if err != nil {
		panic("dns: " + err.Error()) // a constant that does not parse
	}
	return host
}()

const (
	// poolBase is the first address of the pool: 198.18.1.0, in the benchmarking
	// range 198.18.0.0/15 (RFC 2544), which no host on the internet has.
	poolBase = 198<<24 | 18<<16 | 1<<8
	// PoolSize is how many names have an address at one time, in one bottle. With
	// every name at its longest they take about 16 MiB.
	PoolSize = 1 << 15
	// poolHold is how long an address stays with its name after it was last given
	// out or connected to. It outlasts the TTL of the answer, so no program holds
	// an address that meanwhile became another name's.
	poolHold = TTL + 2*time.Second
)

// Pool gives each name of one bottle a synthetic address. An address stays with
// its name until the pool is full and the name the longest unused one.
//
// A Pool is safe for concurrent use.
type Pool struct {
	now func() time.Time

	mu     sync.Mutex
	names  map[routes.Host]*list.Element
	addrs  []*list.Element // by address - poolBase
	recent *list.List      // of *binding, the last used first
}

// binding is a name and its address.
type binding struct {
	host  routes.Host
	index int
	used  time.Time
}

// NewPool returns an empty pool.
func NewPool() *Pool {
	return &Pool{now: time.Now, names: make(map[routes.Host]*list.Element), recent: list.New()}
}

// Addr returns the address of host, a name and not an address itself. It reports
// false for the zero Host, and when every address is in use.
func (p *Pool) Addr(host routes.Host) (netip.Addr, bool) {
	if host.IsZero() {
		return netip.Addr{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if el := p.names[host]; el != nil {
		p.touch(el, now)
		return poolAddr(el.Value.(*binding).index), true
	}
	if len(p.addrs) < PoolSize {
		el := p.recent.PushFront(&binding{host: host, index: len(p.addrs), used: now})
		p.addrs = append(p.addrs, el)
		p.names[host] = el
		return poolAddr(len(p.addrs) - 1), true
	}
	el := p.recent.Back()
	b := el.Value.(*binding)
	if now.Sub(b.used) < poolHold {
		return netip.Addr{}, false
	}
	delete(p.names, b.host)
	b.host = host
	p.names[host] = el
	p.touch(el, now)
	return poolAddr(b.index), true
}

// Name returns the name whose address addr is, and counts as a use of it. The name
// of [Magic] is [routes.MagicHost]. It reports false for an address that was never
// given out.
func (p *Pool) Name(addr netip.Addr) (routes.Host, bool) {
	if addr.Unmap() == Magic {
		return magicHost, true
	}
	i, ok := poolIndex(addr)
	if !ok {
		return routes.Host{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if i >= len(p.addrs) {
		return routes.Host{}, false
	}
	el := p.addrs[i]
	p.touch(el, p.now())
	return el.Value.(*binding).host, true
}

// Len returns how many names have an address.
func (p *Pool) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.names)
}

func (p *Pool) touch(el *list.Element, now time.Time) {
	el.Value.(*binding).used = now
	p.recent.MoveToFront(el)
}

func poolAddr(index int) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(poolBase+index))
	return netip.AddrFrom4(b)
}

func poolIndex(addr netip.Addr) (int, bool) {
	addr = addr.Unmap()
	if !addr.Is4() {
		return 0, false
	}
	b := addr.As4()
	i := int64(binary.BigEndian.Uint32(b[:])) - poolBase
	return int(i), 0 <= i && i < PoolSize
}
