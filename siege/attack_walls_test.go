package siege

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bottled/attack"
	"bottled/netns"
)

// escapes are the ways out that are tried from whole bottles. Package walls has every
// kernel row, at the same kernel objects and with each of them alone; here it is one of
// each kind, to show that a bottle that the daemon made has these walls.
var escapes = []struct {
	id, name string
	order    order
	root     bool // the control needs capabilities
}{
	{"T01", "TCP", order{Op: "dial", Network: "tcp4", Data: "canary"}, false},
	{"T01", "TCP over IPv6", order{Op: "dial", Network: "tcp6", Data: "canary"}, false},
	{"T12", "UDP to port 443", order{Op: "dial", Network: "udp4", N: 443, Data: "canary"}, false},
	{"T12", "UDP to port 443 over IPv6", order{Op: "dial", Network: "udp6", N: 443, Data: "canary"}, false},
	{"D01", "DNS to a resolver of its choice", order{Op: "dial", Network: "udp4", N: 53, Data: "canary"}, false},
	{"K01", "UDP-Lite", socketOrder(unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE), false},
	{"K01", "UDP-Lite over IPv6, connected", connected(socketOrder(unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE)), false},
	{"K03", "ping", socketOrder(unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP), false},
	{"K03", "raw UDP", socketOrder(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_UDP), true},
	{"K03", "raw protocol 253 over IPv6", socketOrder(unix.AF_INET6, unix.SOCK_RAW, 253), true},
	{"K22", "TCP segments of no connection", socketOrder(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_TCP), true},
	{"K04", "packet socket", socketOrder(unix.AF_PACKET, unix.SOCK_DGRAM, 0x0008), true},
}

func socketOrder(family, kind, protocol int) order {
	return order{Op: "socket", Network: fmt.Sprintf("%d/%d/%d", family, kind, protocol)}
}

func connected(o order) order { o.Data = "connected"; return o }

// TestAttackRealBottles tries every way out as a program of a bottle, with all walls and
// with either gone; and as a process that was let into the bottle's namespace and group
// with every capability, with all walls, and with none but the missing wire.
func TestAttackRealBottles(t *testing.T) {
	d := newDaemon(t)
	free, freeRoot := outside(t), place{root: true}.start(t)
	for _, walls := range []struct {
		name     string
		take     func(*besieged)
		intruder bool
		grouped  bool
	}{
		{"everything", func(*besieged) {}, false, true},
		{"rules flushed", func(b *besieged) { b.flush(t) }, false, true},
		{"programs detached", func(b *besieged) { b.detach(t, -1) }, false, true},
		{"everything, all capabilities", func(*besieged) {}, true, true},
		{"rules flushed and programs detached, all capabilities", func(b *besieged) { b.flush(t); b.detach(t, -1) }, true, false},
	} {
		b := d.bottle(t, options{})
		who := b.agent
		if walls.intruder {
			p := place{ns: b.namespace(t), root: true}
			if walls.grouped {
				p.cg = b.group(t)
			}
			who = p.start(t)
		}
		walls.take(b)
		for _, e := range escapes {
			from := free
			if e.root {
				from = freeRoot
			}
			attack.Stopped(t, e.id, e.name+", "+walls.name, from.reaches(e.order, control), who.reaches(e.order, forbidden))
		}
		b.stop(t)
	}
}

// TestAttackHostFirewall flushes what the host has of rules, and the bottle's routes are
// taken away as a network manager would: neither opens anything.
func TestAttackHostFirewall(t *testing.T) {
	_, b := underTraffic(t)
	closedAllAlong(t, "R06", "the host's rules are flushed", b, func(t *testing.T) {
		c, err := nftables.New()
		must(t, err)
		for range 20 {
			table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "firewall"})
			c.AddChain(&nftables.Chain{Name: "forward", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter})
			must(t, c.Flush())
			must(t, flushRuleset())
			b.rounds(t, 5)
		}
		b.allowed(t, 1)
	})
	closedAllAlong(t, "R07", "the bottle's policy rules and routes are deleted", b, func(t *testing.T) {
		b.deleteRules(t)
		b.rounds(t, 100)
	})
}

// deleteRules deletes every policy rule but the kernel's own, and all routes beside
// its local ones, in the bottle's namespace.
func (b *besieged) deleteRules(t testing.TB) {
	t.Helper()
	deleted := 0
	must(t, b.namespace(t).Do(func() error {
		for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
			rules, err := netlink.RuleList(family)
			if err != nil {
				return err
			}
			for _, r := range rules {
				if r.Priority == 0 || r.Table == unix.RT_TABLE_MAIN || r.Table == unix.RT_TABLE_DEFAULT {
					continue
				}
				r.Family = family
				if err := netlink.RuleDel(&r); err != nil {
					return err
				}
				deleted++
			}
		}
		return nil
	}))
	if deleted == 0 {
		t.Fatal("there was no rule to delete")
	}
}

// TestAttackReload has routes replaced, and the namespace's own rules torn down and put
// back, over and over, under a prober.
func TestAttackReload(t *testing.T) {
	d, b := underTraffic(t)
	closedAllAlong(t, "R09", "routes are replaced all the time", b, func(t *testing.T) {
		for i := range scaled(100, 1000) {
			routes := ""
			if i%2 == 1 {
				routes = otherRoute
			}
			b.update(t, d, routes, nil)
		}
		b.update(t, d, "", nil)
		b.rounds(t, 20)
		b.allowed(t, 1)
	})
	ns, plan := b.namespace(t), netns.Default()
	closedAllAlong(t, "R09", "the rules are torn down and put back all the time", b, func(t *testing.T) {
		for range scaled(50, 1000) {
			must(t, ns.Do(flushRuleset))
			must(t, ns.Apply(plan))
		}
		b.rounds(t, 20)
		b.allowed(t, 1)
	})
}

// TestAttackDirectAddresses goes past names: to the listeners themselves, to the host's
// own services, and to another bottle.
func TestAttackDirectAddresses(t *testing.T) {
	d := newDaemon(t)
	a, b := d.bottle(t, options{}), d.bottle(t, options{})
	free := outside(t)
	hostService := func(at string) *canary {
		c, err := newCanary(at, "a service of the host\n")
		must(t, err)
		return c
	}
	for _, row := range []struct{ id, name, at string }{
		{"K25", "the host by its own address", hostAddr4.String() + ":0"},
		{"K25", "the host by its own IPv6 address", "[" + hostAddr6.String() + "]:0"},
		{"K27", "the host's loopback", "127.0.0.1:0"},
		{"K27", "the host's loopback over IPv6", "[::1]:0"},
	} {
		s := hostService(row.at)
		calls := func(who *agent) attack.Probe {
			return func(*testing.T) error {
				before := s.calls.Load()
				_, said := who.do(order{Op: "dial", Network: "tcp", Addr: s.addr.String(), Data: "x"})
				return called(s.calls.Load() > before, said)
			}
		}
		attack.Stopped(t, row.id, row.name, calls(free), calls(a.agent))
	}
	plan := netns.Default()
	for _, own := range []netip.Addr{plan.Addr4, plan.Addr6, netip.MustParseAddr("127.0.0.1")} {
		addr := b.must(t, order{Op: "serve", ID: own.String(), Addr: netip.AddrPortFrom(own, 0).String()}).Body
		served := func(who *agent) attack.Probe {
			return func(t *testing.T) error {
				before := b.must(t, order{Op: "served", ID: own.String()}).N
				_, said := who.do(order{Op: "dial", Network: "tcp", Addr: addr, Data: "x"})
				return called(b.must(t, order{Op: "served", ID: own.String()}).N > before, said)
			}
		}
		attack.Stopped(t, "K28", "another bottle at "+own.String(), served(b.agent), served(a.agent))
	}
}

func called(yes bool, said error) error {
	if yes {
		return nil
	}
	return fmt.Errorf("the service saw nobody; the program saw: %v", said)
}
