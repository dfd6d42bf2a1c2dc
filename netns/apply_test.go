package netns

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		must(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

func state(t *testing.T, n *Namespace) string {
	t.Helper()
	text, err := n.Dump()
	must(t, err)
	return text
}

// The whole state of a bottle's namespace, and no interface beside loopback.
func TestGolden(t *testing.T) {
	golden(t, "bottle.golden", state(t, create(t, Default())))
	p := Default()
	p.Interface = "eth0"
	golden(t, "interface.golden", state(t, create(t, p)))
}

// A daemon with many bottles has descriptors that select(2) cannot wait for: it takes
// numbers below 1024. The library's next revision does select and panics.
func TestManyDescriptors(t *testing.T) {
	const selectable = unix.FD_SETSIZE
	for {
		f, err := os.Open(os.DevNull)
		must(t, err)
		t.Cleanup(func() { f.Close() })
		if f.Fd() >= selectable {
			break
		}
	}
	golden(t, "bottle.golden", state(t, create(t, Default())))
}

// The same, as the kernel's other clients see it.
func TestGoldenAsToolsSeeIt(t *testing.T) {
	n := create(t, Default())
	var out strings.Builder
	for _, args := range [][]string{
		{"nft", "list", "ruleset"},
		{"ip", "-brief", "link"},
		{"ip", "-4", "rule"},
		{"ip", "-6", "rule"},
		{"ip", "-4", "route", "show", "table", "100"},
		{"ip", "-6", "route", "show", "table", "100"},
	} {
		out.WriteString("$ " + strings.Join(args, " ") + "\n")
		must(t, n.Do(func() error {
			text, err := exec.Command(args[0], args[1:]...).CombinedOutput()
			out.Write(text)
			return err
		}))
	}
	// From 1.1 on nft says such a mask in hexadecimal.
	golden(t, "tools.golden", strings.ReplaceAll(out.String(), "0x3fff != 0x0", "16383 != 0"))
}

// Applied again, nothing is touched: every change would get the ruleset a new generation.
func TestApplyIsIdempotent(t *testing.T) {
	n := create(t, Default())
	touched := ""
	n.fault = func(step string) error { touched += step + " "; return nil }
	before := state(t, n)
	must(t, n.Apply(Default()))
	if touched != "" {
		t.Errorf("changed: %s", touched)
	}
	if d := cmp.Diff(before, state(t, n)); d != "" {
		t.Error(d)
	}
}

// A plan without IPv6, as on a host that has none, leaves no IPv6 destination.
func TestWithoutIPv6(t *testing.T) {
	p := Default()
	p.Addr6, p.Proxy6 = netip.Addr{}, netip.AddrPort{}
	n := create(t, p)
	l, err := n.Listen(p)
	must(t, err)
	defer l.Close()
	if len(l.Files()) != 3 {
		t.Errorf("%d listeners", len(l.Files()))
	}
	for to, want := range map[string]error{"[2001:db8::1]:443": unix.ENETUNREACH, "[::1]:443": unix.ECONNREFUSED} {
		if _, err := dial(n, "tcp", to); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", to, err, want)
		}
	}
	c, err := dial(n, "tcp", "192.0.2.1:443")
	must(t, err)
	c.Close()
}

// Whatever is changed is found by Diff, and undone by Apply.
func TestTampering(t *testing.T) {
	nft := func(f func(*nftables.Conn)) func() error {
		return func() error {
			c, err := nftables.New()
			if err != nil {
				return err
			}
			f(c)
			return c.Flush()
		}
	}
	table := &nftables.Table{Name: tableName, Family: nftables.TableFamilyINet}
	lo := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: loopbackIndex, Name: loopback}}
	for name, tamper := range map[string]func() error{
		"ruleset flushed": nft(func(c *nftables.Conn) { c.FlushRuleset() }),
		"chain emptied":   nft(func(c *nftables.Conn) { c.FlushChain(&nftables.Chain{Name: "output", Table: table}) }),
		"accept put first": nft(func(c *nftables.Conn) {
			c.InsertRule(&nftables.Rule{Table: table, Chain: &nftables.Chain{Name: "output", Table: table}, Exprs: accept()})
		}),
		"foreign table": nft(func(c *nftables.Conn) { c.AddTable(&nftables.Table{Name: "evil", Family: nftables.TableFamilyIPv4}) }),
		"foreign chain": nft(func(c *nftables.Conn) {
			c.AddChain(&nftables.Chain{Name: "evil", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityRef(-300)})
		}),
		"policy accept": nft(func(c *nftables.Conn) {
			c.AddChain(&nftables.Chain{Name: "output", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityFilter, Policy: new(nftables.ChainPolicyAccept)})
		}),
		"counter in a rule": nft(func(c *nftables.Conn) {
			c.AddRule(&nftables.Rule{Table: table, Chain: &nftables.Chain{Name: "forward", Table: table}, Exprs: []expr.Any{&expr.Counter{}}})
		}),
		"loopback down": func() error { return netlink.LinkSetDown(lo) },
		"address gone":  func() error { return netlink.AddrDel(lo, &netlink.Addr{IPNet: host(Default().Addr4)}) },
		"loopback address gone": func() error {
			a, err := netlink.ParseAddr("127.0.0.1/8")
			if err != nil {
				return err
			}
			return netlink.AddrDel(lo, a)
		},
		"foreign address": func() error {
			a, err := netlink.ParseAddr("192.0.2.7/24")
			if err != nil {
				return err
			}
			return netlink.AddrAdd(lo, a)
		},
		"foreign interface": func() error {
			veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "evil", Flags: 1}, PeerName: "evilp"}
			if err := netlink.LinkAdd(veth); err != nil {
				return err
			}
			return netlink.LinkSetUp(veth)
		},
		"rule gone": func() error {
			r := netlink.NewRule()
			r.Family, r.Priority, r.Table = unix.AF_INET6, 1, 100
			return netlink.RuleDel(r)
		},
		"local rule gone": func() error {
			r := netlink.NewRule()
			r.Family, r.Priority, r.Table = unix.AF_INET, 0, unix.RT_TABLE_LOCAL
			return netlink.RuleDel(r)
		},
		"foreign rule": func() error {
			r := netlink.NewRule()
			r.Priority, r.Table, r.Mark = 0, 7, 9
			return netlink.RuleAdd(r)
		},
		"route gone": func() error { return netlink.RouteDel(&routes(Default())[1]) },
		"foreign route": func() error {
			return netlink.RouteAdd(&netlink.Route{LinkIndex: 1, Table: 7, Dst: host(Default().Addr4)})
		},
		"forwarding on": func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) },
		"pings allowed": func() error { return os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 100"), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			n := create(t, Default())
			before := state(t, n)
			must(t, n.Do(tamper))
			lines, err := n.Diff(Default())
			if err != nil || len(lines) == 0 {
				t.Fatalf("not found: %v", err)
			}
			t.Log(strings.Join(lines, "\n"))
			must(t, n.Apply(Default()))
			if d := cmp.Diff(before, state(t, n)); d != "" {
				t.Errorf("not undone:\n%s", d)
			}
		})
	}
}
