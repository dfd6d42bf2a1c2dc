package bottle

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"bottled/bpf"
	"bottled/cgroup"
	"bottled/routes"
)

// reach is what the enforcer of a table could need: the ports of its routes on public
// addresses, the private ranges that they open, and the resolvers. With a proxy that
// all is chained to, host:port, it is that proxy alone.
func reach(t *routes.Effective, proxy string, resolvers []netip.AddrPort) (bpf.Reach, error) {
	if proxy != "" {
		return reachProxy(proxy, resolvers)
	}
	r := bpf.Reach{Resolvers: resolvers}
	for _, route := range t.Routes {
		for _, port := range route.Endpoints() {
			r.Openings = append(r.Openings, bpf.Opening{Port: port})
			for _, p := range route.AllowPrivate {
				r.Openings = append(r.Openings, bpf.Opening{Port: port, To: p})
			}
		}
	}
	return r, nil
}

// reachProxy: the proxy may be at a private address, for who wrote the manifest or the
// policy named it. At which addresses a name is, the resolver says, and only at the time.
func reachProxy(proxy string, resolvers []netip.AddrPort) (bpf.Reach, error) {
	a, err := routes.ParseAuthority(proxy, 0)
	if err != nil {
		return bpf.Reach{}, fmt.Errorf("upstream_proxy: %w", err)
	}
	if addr, ok := a.Host.Addr(); ok {
		return bpf.Reach{Openings: []bpf.Opening{{Port: a.Port, To: netip.PrefixFrom(addr, addr.BitLen())}}}, nil
	}
	anywhere := netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	return bpf.Reach{Openings: []bpf.Opening{{Port: a.Port, To: anywhere}}, Resolvers: resolvers}, nil
}

// fence is that of the enforcer of a bottle that runs.
type fence struct {
	*bpf.Fence

	mu    sync.Mutex // one change at a time, and none once closed
	alert sync.Once
}

// Close gives the descriptors back; the programs stay. What comes after is an error.
func (f *fence) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Fence.Close()
}

// Dump is [bpf.Fence.Dump].
func (f *fence) Dump() (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Fence.Dump()
}

// reach is what the enforcer may reach now.
func (f *fence) reach() (bpf.Reach, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Reach()
}

// widen lets the enforcer reach what more asks for beside what it may reach already.
func (f *fence) widen(more bpf.Reach) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, err := f.Reach()
	if err != nil {
		return err
	}
	return f.Allow(now.And(more))
}

// settle lets the enforcer reach what r says and nothing else, with the resolvers that
// are asked now: others than r's, where they changed since r was made.
func (f *fence) settle(r bpf.Reach, now *resolvers) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.allow(r, now)
}

// ask changes the resolvers of an enforcer that has any.
func (f *fence) ask(now *resolvers) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, err := f.Reach()
	if err != nil {
		return err
	}
	return f.allow(r, now)
}

// allow reads the resolvers under the lock: whoever changes them asks after it has, so
// that the last to come knows the last of them. The caller holds f.mu.
func (f *fence) allow(r bpf.Reach, now *resolvers) error {
	if len(r.Resolvers) > 0 {
		r.Resolvers = now.get()
	}
	return f.Allow(r)
}

// fenceOf says what the bottle's enforcer needs for a table.
func (b *bottle) fenceOf(t table) (bpf.Reach, error) {
	return reach(t.effective, b.record.Chain.authority(), b.m.resolvers.get())
}

// openFence finds the fence of an adopted bottle, and checks that it holds the process
// that the record names.
func openFence(p paths, worker process) (*fence, error) {
	group, err := cgroup.Open(p.worker())
	if err != nil {
		return nil, err
	}
	defer group.Close()
	pids, err := group.Processes()
	if err != nil {
		return nil, err
	}
	if !slices.Contains(pids, worker.PID) {
		return nil, fmt.Errorf("its enforcer is not in cgroup %q", p.worker())
	}
	f, err := bpf.OpenFence(p.fence())
	if err != nil {
		return nil, err
	}
	if err := f.Verify(group.FD()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &fence{Fence: f}, nil
}

// resumeFence makes good what an earlier daemon did not come to: an update may have
// widened the fence, and the host may ask another resolver by now.
func (b *bottle) resumeFence(whole bool) error {
	if !whole { // which table is in force only the enforcer knows
		return b.fence.ask(b.m.resolvers)
	}
	t, err := readTable("the manifest in force", b.manifest(), b.grants()...)
	if err != nil {
		return err
	}
	r, err := b.fenceOf(t)
	if err != nil {
		return err
	}
	return b.fence.settle(r, b.m.resolvers)
}
