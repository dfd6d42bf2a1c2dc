package walls

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"bottled/attack"
	"bottled/bpf"
	"bottled/cgroup"
)

func init() {
	probes["listen-unbound"] = listenUnbound
	probes["bind"] = bound
}

// usual is what most enforcers may reach: two ports of the outside, a port of a private
// network, and a resolver on the host.
var usual = bpf.Reach{
	Openings: []bpf.Opening{
		{Port: 80}, {Port: 443}, {Port: 9000},
		{Port: 443, To: netip.MustParsePrefix("10.1.0.0/16")},
		{Port: 443, To: netip.MustParsePrefix("fd12::/16")},
	},
	Resolvers: []netip.AddrPort{netip.MustParseAddrPort("10.9.9.53:53"), netip.MustParseAddrPort("[fd99::53]:53")},
}

// fence attaches the programs of an enforcer to the group; with only, it then detaches
// all others.
func fence(t *testing.T, g *cgroup.Group, r bpf.Reach, only ...bpf.Hook) *bpf.Fence {
	t.Helper()
	dir := pinDir()
	f, err := bpf.AttachFence(bpf.FenceOptions{CgroupFD: g.FD(), PinDir: dir, Reach: r})
	must(t, err)
	t.Cleanup(func() { must(t, errors.Join(f.Close(), bpf.Remove(dir))) })
	if len(only) == 0 {
		return f
	}
	for _, hook := range []bpf.Hook{bpf.SockCreate, bpf.Bind4, bpf.Bind6, bpf.Connect4, bpf.Connect6, bpf.Sendmsg4, bpf.Sendmsg6, bpf.Egress} {
		if slices.Contains(only, hook) {
			continue
		}
		l, err := link.LoadPinnedLink(filepath.Join(dir, string(hook)), nil)
		must(t, err)
		must(t, errors.Join(l.Detach(), l.Close()))
	}
	return f
}

// ventures are what somebody who took an enforcer over would try, from the host's
// namespace and with no capability. The targets of the control and of the attack differ
// in their last bits only.
var ventures = []struct {
	id, name, probe string
	control, attack string
	root            bool
}{
	{"K25", "metadata service", "tcp", "169.254.169.253:80", "169.254.169.254:80", false},
	{"K25", "metadata service in public space", "tcp", "168.63.129.17:80", "168.63.129.16:80", false},
	{"K25", "metadata service over IPv6", "tcp", "[fd00:ec2::253]:80", "[fd00:ec2::254]:80", false},
	{"K25", "metadata service of Google over IPv6", "tcp", "[fd20:ce::253]:80", "[fd20:ce::254]:80", false},
	{"K25", "link-local over IPv4", "tcp", "169.254.7.1:443", "169.254.7.2:443", false},
	{"K25", "private network", "tcp", "10.2.0.1:443", "10.2.0.2:443", false},
	{"K25", "private network over IPv6", "tcp", "[fd13::1]:443", "[fd13::2]:443", false},
	{"K25", "another port of the opened network", "tcp", "10.1.0.1:22", "10.1.0.2:22", false},
	{"K25", "private network through a mapped address", "tcp-mapped", "10.2.1.1:443", "10.2.1.2:443", false},
	{"T16", "private address behind NAT64", "tcp", "[64:ff9b::a02:1]:443", "[64:ff9b::a02:2]:443", false},
	{"T16", "metadata service behind NAT64", "tcp", "[64:ff9b::a9fe:a9fd]:80", "[64:ff9b::a9fe:a9fe]:80", false},
	{"T16", "6to4 of a private address", "tcp", "[2002:a02:1::1]:443", "[2002:a02:2::1]:443", false},
	{"T01", "public address, port 22", "tcp", "198.41.0.1:22", "198.41.0.2:22", false},
	{"T01", "public address over IPv6, port 22", "tcp", "[2606:2800::1]:22", "[2606:2800::2]:22", false},
	{"K10", "TCP Fast Open to a private network", "tcp-fastopen", "10.2.2.1:9000", "10.2.2.2:9000", false},
	{"K09", "MPTCP", "mptcp", "198.41.1.1:443", "198.41.1.2:443", false},
	{"T12", "UDP to port 443", "udp", "198.41.2.1:443", "198.41.2.2:443", false},
	{"T12", "UDP to port 443, connected", "udp-connected", "198.41.3.1:443", "198.41.3.2:443", false},
	{"D01", "DNS to a resolver of its choice", "udp-connected", "198.41.5.1:53", "198.41.5.2:53", false},
	{"D01", "DNS to a resolver of its choice over IPv6", "udp", "[2606:2800::5:1]:53", "[2606:2800::5:2]:53", false},
	{"D01", "another port of the resolver", "udp-connected", "10.9.9.53:54", "10.9.9.53:55", false},
	{"K01", "UDP-Lite", "udplite", "198.41.6.1:443", "198.41.6.2:443", false},
	{"K03", "ping", "ping", "198.41.7.1:0", "198.41.7.2:0", false},
	{"K03", "raw UDP", "raw-udp", "198.41.8.1:0", "198.41.8.2:0", true},
	{"K22", "TCP segments of no connection", "raw-tcp-flags", "198.41.9.1:443", "198.41.9.2:443", true},
}

// The fence holds whoever took an enforcer over, in a namespace with a wire, where the
// dial gate is not asked.
func TestAttackFence(t *testing.T) {
	w := newWire(t)
	group := newGroup(t)
	f := fence(t, group, usual)
	try := func(who actor, probe string, to netip.AddrPort, patience time.Duration) error {
		before := w.seen()
		said := who.run(t, probe, to.String())
		if w.sawSince(before, to.Addr(), patience) {
			return nil
		}
		return errors.Join(said, errors.New("nothing reached the wire"))
	}
	for _, v := range ventures {
		attack.Stopped(t, v.id, v.name+", from an enforcer that was taken over",
			func(t *testing.T) error {
				return try(actor{ns: w.ns, root: v.root}, v.probe, netip.MustParseAddrPort(v.control), arrives)
			},
			func(t *testing.T) error {
				return try(actor{ns: w.ns, cg: group, root: v.root}, v.probe, netip.MustParseAddrPort(v.attack), 20*time.Millisecond)
			})
	}
	counts, err := f.Counts()
	if err != nil || counts.Refused[bpf.ReasonDestination] == 0 || counts.Refused[bpf.ReasonProtocol] == 0 {
		t.Errorf("counted %+v, %v", counts, err)
	}
	// What it needs it reaches, and nothing is counted.
	for _, v := range []struct{ probe, target string }{
		{"tcp", "198.41.20.1:443"}, {"tcp", "[2606:2800::20:1]:80"}, {"tcp", "10.1.2.3:443"}, {"tcp", "[fd12::3]:443"}, {"tcp", "[64:ff9b::c629:1401]:443"},
		{"tcp-mapped", "198.41.20.2:443"}, {"udp-connected", "10.9.9.53:53"}, {"tcp", "10.9.9.53:53"}, {"udp-connected", "[fd99::53]:53"},
	} {
		if err := try(actor{ns: w.ns, cg: group}, v.probe, netip.MustParseAddrPort(v.target), arrives); err != nil {
			t.Errorf("%s to %s: %v", v.probe, v.target, err)
		}
	}
	if after, err := f.Counts(); err != nil || after.Refused[bpf.ReasonDestination] != counts.Refused[bpf.ReasonDestination] {
		t.Errorf("what is allowed was counted: %+v, %v", after, err)
	}
}

// Each hook of the fence alone: what it must stop by itself.
func TestAttackEachHookOfTheFence(t *testing.T) {
	w := newWire(t)
	for hook, tried := range map[bpf.Hook][]struct{ id, probe, format string }{
		bpf.Connect4: {{"K25", "tcp", "10.3.0.%:443"}, {"K10", "tcp-fastopen", "10.3.1.%:443"}, {"T12", "udp-connected", "10.3.2.%:443"}, {"K45", "io-uring", "10.3.3.%:443"}},
		bpf.Connect6: {{"K25", "tcp", "[fd14::%]:443"}, {"K52", "tcp-mapped", "10.4.0.%:443"}, {"T12", "udp-connected", "[fd14::1:%]:443"}},
		bpf.Sendmsg4: {{"T12", "udp", "10.5.0.%:443"}, {"K52", "udp-mapped", "10.5.1.%:443"}, {"D01", "udp", "10.5.2.%:53"}},
		bpf.Sendmsg6: {{"T12", "udp", "[fd15::%]:443"}},
		bpf.Egress: {
			{"K25", "tcp", "10.6.0.%:443"}, {"K25", "tcp", "[fd16::%]:443"}, {"K52", "tcp-mapped", "10.6.1.%:443"}, {"K10", "tcp-fastopen", "10.6.2.%:443"},
			{"T12", "udp", "198.41.30.%:443"}, {"D01", "udp-connected", "198.41.31.%:53"}, {"D01", "udp", "198.41.32.%:53"}, {"K01", "udplite", "198.41.33.%:443"},
			{"K03", "ping", "198.41.34.%:0"}, {"K03", "raw-253", "198.41.35.%:0"}, {"K19", "raw-fragment", "198.41.36.%:443"}, {"K18", "raw-dstopts", "[2606:2800::18:%]:0"},
		},
	} {
		group := newGroup(t)
		fence(t, group, usual, hook)
		for _, a := range tried {
			try := func(who actor, last string, patience time.Duration) error {
				to := netip.MustParseAddrPort(strings.ReplaceAll(a.format, "%", last))
				who.root = true
				said := who.run(t, a.probe, to.String())
				if w.saw(to.Addr(), patience) {
					return nil
				}
				return errors.Join(said, errors.New("nothing reached the wire"))
			}
			attack.Stopped(t, a.id, a.probe+" to "+a.format+", "+string(hook)+" of the fence alone",
				func(t *testing.T) error { return try(actor{ns: w.ns}, "1", arrives) },
				func(t *testing.T) error { return try(actor{ns: w.ns, cg: group}, "2", 20*time.Millisecond) })
		}
	}
}

// Services of the host itself: on its loopback, and on an address that looks public.
// The port is one that is open to the outside.
func TestAttackFenceHostServices(t *testing.T) {
	w := newWire(t)
	group := newGroup(t)
	f := fence(t, group, usual)
	egress := newGroup(t)
	fence(t, egress, usual, bpf.Egress)
	public := netip.MustParseAddr("198.41.99.1")
	must(t, w.asHost(public))
	for _, host := range []string{"127.0.0.1", "::1", "10.9.0.1", public.String()} {
		var service net.Listener
		must(t, w.ns.Do(func() (err error) {
			service, err = net.Listen("tcp", net.JoinHostPort(host, "9000"))
			return err
		}))
		defer service.Close()
		target := service.Addr().String()
		for name, group := range map[string]*cgroup.Group{"": group, ", egress of the fence alone": egress} {
			attack.Stopped(t, "K25", "a service of the host at "+host+name,
				func(t *testing.T) error { return actor{ns: w.ns}.run(t, "tcp-whole", target) },
				func(t *testing.T) error { return actor{ns: w.ns, cg: group}.run(t, "tcp-whole", target) })
		}
	}
	// A route that says so opens them, and the reach is changed under way.
	opened := usual.And(bpf.Reach{Openings: []bpf.Opening{{Port: 9000, To: netip.MustParsePrefix("127.0.0.0/8")}}})
	must(t, f.Allow(opened))
	if err := (actor{ns: w.ns, cg: group}).run(t, "tcp-whole", "127.0.0.1:9000"); err != nil {
		t.Errorf("opened: %v", err)
	}
	must(t, f.Allow(usual))
	if err := (actor{ns: w.ns, cg: group}).run(t, "tcp-whole", "127.0.0.1:9000"); err == nil {
		t.Error("closed again, and still open")
	}
}

// An enforcer that was taken over offers nothing on an address of the host: bind(2) is
// refused, and a socket that listens without it is not answered for.
func TestAttackFenceListens(t *testing.T) {
	w := newWire(t)
	must(t, w.asHost(netip.MustParseAddr("198.41.99.1")))
	group := newGroup(t)
	fence(t, group, usual)
	for _, target := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::]:0", "[::1]:0"} {
		attack.Stopped(t, "K16", "bind to "+target+" from an enforcer that was taken over",
			func(t *testing.T) error { return actor{ns: w.ns}.run(t, "bind", target) },
			func(t *testing.T) error { return actor{ns: w.ns, cg: group}.run(t, "bind", target) })
	}
	visit := func(who actor) attack.Probe {
		return func(t *testing.T) error {
			who.root = true
			told := filepath.Join(t.TempDir(), "port")
			visited := make(chan error, 1)
			go func() {
				var port []byte
				for deadline := time.Now().Add(5 * time.Second); len(port) == 0 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
					port, _ = os.ReadFile(told)
				}
				visited <- w.ns.Do(func() error {
					c, err := net.DialTimeout("tcp", net.JoinHostPort("198.41.99.1", string(port)), patience)
					if err == nil {
						c.Close()
					}
					return err
				})
			}()
			listens := who.runAlone(t, "listen-unbound", told)
			return errors.Join(<-visited, listens)
		}
	}
	attack.Stopped(t, "K16", "listen without bind from an enforcer that was taken over", visit(actor{ns: w.ns}), visit(actor{ns: w.ns, cg: group}))
}

// listenUnbound takes whatever port the kernel gives, writes it to the file, and waits
// for a visitor.
func listenUnbound(told string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: patience.Microseconds() * 2}); err != nil {
		return err
	}
	if err := unix.Listen(fd, 1); err != nil {
		return err
	}
	own, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	port := strconv.Itoa(own.(*unix.SockaddrInet4).Port)
	if err := os.WriteFile(told+".new", []byte(port), 0o600); err != nil {
		return err
	}
	if err := os.Rename(told+".new", told); err != nil {
		return err
	}
	visitor, _, err := unix.Accept(fd)
	if err == nil {
		unix.Close(visitor)
	}
	return err
}

// bound takes an address.
func bound(target string) error {
	_, family, to := address(target)
	fd, err := socket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Bind(fd, to)
}
