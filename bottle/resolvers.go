package bottle

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// resolvConf is where the host says which name servers it asks.
const resolvConf = "/etc/resolv.conf"

// followInterval is how soon a fence knows of another name server. An enforcer looks
// every five seconds (Go's net, dnsclient_unix.go), and until both have, names do not
// resolve.
const followInterval = time.Second

// maxResolvers is how many an enforcer asks (Go's net, dnsconfig_unix.go).
const maxResolvers = 3

// resolvers are the name servers that enforcers ask.
type resolvers struct {
	path string // of the host's configuration; empty: the list is fixed
	list atomic.Pointer[[]netip.AddrPort]
}

// newResolvers: an address that is given is fixed; else they are the host's.
func newResolvers(given string) (*resolvers, error) {
	if given == "" {
		r := &resolvers{path: resolvConf}
		r.set(hostResolvers(resolvConf))
		return r, nil
	}
	r := new(resolvers)
	a, err := netip.ParseAddrPort(given)
	if err != nil {
		return nil, fmt.Errorf("%w: resolver %q: write ADDRESS:PORT, such as 192.0.2.53:53", ErrInvalid, given)
	}
	r.set([]netip.AddrPort{a})
	return r, nil
}

func (r *resolvers) get() []netip.AddrPort     { return *r.list.Load() }
func (r *resolvers) set(list []netip.AddrPort) { r.list.Store(&list) }

// follow calls changed whenever the host asks other name servers, until ctx is done.
func (r *resolvers) follow(ctx context.Context, changed func()) {
	if r.path == "" {
		return
	}
	tick := time.NewTicker(followInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if now := hostResolvers(r.path); !slices.Equal(now, r.get()) {
			r.set(now)
			changed()
		}
	}
}

// hostResolvers reads resolv.conf(5) as Go's resolver does, which is the enforcer's: the
// first few lines that hold an address, and the host itself where there are none.
func hostResolvers(path string) []netip.AddrPort {
	text, _ := os.ReadFile(path) // one that cannot be read says nothing
	var list []netip.AddrPort
	for line := range strings.Lines(string(text)) {
		if line[0] == ';' || line[0] == '#' {
			continue
		}
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" || len(list) == maxResolvers {
			continue
		}
		if a, err := netip.ParseAddr(words[1]); err == nil {
			list = append(list, netip.AddrPortFrom(a.WithZone("").Unmap(), portDNS))
		}
	}
	if len(list) == 0 {
		return []netip.AddrPort{
			netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), portDNS),
			netip.AddrPortFrom(netip.IPv6Loopback(), portDNS),
		}
	}
	return list
}

const portDNS = 53
