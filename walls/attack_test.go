package walls

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/nftables"

	"bottled/attack"
	"bottled/cgroup"
	"bottled/netns"
)

// escapeRow is a way out.
type escapeRow struct {
	id, name, probe string
	family          int // 4 or 6
	port            uint16
	root            bool // needs capabilities to work at all
}

// escapes are the ways out that are tried at each set of walls.
var escapes = []escapeRow{
	{"K01", "UDP-Lite, connected", "udplite-connect", 4, 9000, false},
	{"K01", "UDP-Lite", "udplite", 4, 9000, false},
	{"K01", "UDP-Lite over IPv6", "udplite", 6, 9000, false},
	{"K03", "raw protocol 253", "raw-253", 4, 0, true},
	{"K03", "raw UDP", "raw-udp", 4, 0, true},
	{"K03", "raw UDP over IPv6", "raw-udp", 6, 0, true},
	{"K03", "raw with an IP header of its own", "raw-header", 4, 9000, true},
	{"K07", "SCTP through a raw socket", "raw-sctp", 4, 0, true},
	{"K09", "MPTCP", "mptcp", 4, 9000, false},
	{"K10", "TCP Fast Open", "tcp-fastopen", 4, 9000, false},
	{"K12", "IGMP report with chosen bits", "multicast-join", 4, 0, false},
	{"K18", "IPv6 destination options", "raw-dstopts", 6, 0, true},
	{"K19", "first fragment", "raw-fragment", 4, 9000, true},
	{"K19", "fragment without a port", "raw-fragment-end", 4, 9000, true},
	{"K21", "IP in IP", "raw-ipip", 4, 0, true},
	{"K21", "GRE", "raw-gre", 4, 0, true},
	{"K22", "TCP segments of no connection", "raw-tcp-flags", 4, 9000, true},
	{"K22", "TCP segments of no connection, IPv6", "raw-tcp-flags", 6, 9000, true},
	{"K30", "UDP to a multicast name service port", "udp", 4, 5353, false},
	{"K31", "marks of a proxy", "mark", 4, 9000, true},
	{"K33", "a chosen interface", "device", 4, 9000, true},
	{"K45", "connection through io_uring", "io-uring", 4, 9000, false},
	{"K52", "TCP to a mapped address", "tcp-mapped", 4, 9000, false},
	{"K52", "UDP to a mapped address", "udp-mapped", 4, 9000, false},
	{"K55", "TCP repair", "repair", 4, 9000, true},
	{"T01", "TCP to port 22", "tcp", 4, 22, false},
	{"T01", "TCP to port 65535 over IPv6", "tcp", 6, 65535, false},
	{"T12", "UDP to port 443, connected", "udp-connected", 4, 443, false},
	{"T12", "UDP to port 443", "udp", 4, 443, false},
	{"T12", "UDP to port 443 over IPv6", "udp", 6, 443, false},
	{"K03", "ping", "ping", 4, 0, false},
	{"K03", "ping over IPv6", "ping", 6, 0, false},
	{"D01", "DNS to a resolver of its choice", "udp", 4, 53, false},
	{"D04", "DNS over TLS", "tcp", 4, 853, false},
}

// escape tries every way out as the actor, and before as nobody holds it, on the wire.
func escape(t *testing.T, walls string, w *wire, inside actor) {
	n := 0
	for _, e := range escapes {
		n += 2
		target := func(n int) netip.AddrPort {
			switch {
			case e.probe == "multicast-join":
				return netip.AddrPortFrom(netip.AddrFrom4([4]byte{239, 7, 7, byte(n)}), 0)
			case e.family == 6:
				return netip.AddrPortFrom(sinkAddr6(n), e.port)
			}
			return netip.AddrPortFrom(sinkAddr4(n), e.port)
		}
		try := func(a actor, to netip.AddrPort, patience time.Duration) error {
			a.root = a.root || e.root
			said := a.run(t, e.probe, to.String())
			if w.saw(to.Addr(), patience) {
				return nil
			}
			if said != nil {
				return said
			}
			return errors.New("the program saw no error, nothing reached the wire")
		}
		attack.Stopped(t, e.id, e.name+", "+walls,
			func(t *testing.T) error { return try(actor{ns: w.ns}, target(n), arrives) },
			func(t *testing.T) error { return try(inside, target(n+1), 20*time.Millisecond) },
		)
	}
}

// The programs hold a process that is in a namespace with a wire: here nothing else does.
func TestAttackProgramsAlone(t *testing.T) {
	bottle, _ := newBottle(t)
	for name, byMark := range bothWays {
		w := newWire(t)
		group := newGroup(t)
		hooks := attachment{group, bottle, byMark}.attach(t)
		escape(t, "programs alone, packets known by "+name, w, actor{ns: w.ns, cg: group})

		counts, err := hooks.Counts()
		if err != nil || len(counts.Refused) == 0 {
			t.Errorf("nothing was counted: %+v, %v", counts, err)
		}
	}
}

func TestAttackBothWalls(t *testing.T) {
	w := newWire(t)
	bottle, _ := served(t)
	group := newGroup(t)
	attach(t, group, bottle)
	escape(t, "both walls", w, actor{ns: bottle, cg: group})
}

func TestAttackRulesFlushed(t *testing.T) {
	w := newWire(t)
	bottle, _ := served(t)
	group := newGroup(t)
	attach(t, group, bottle)
	flushRules(t, bottle)
	escape(t, "rules flushed", w, actor{ns: bottle, cg: group})
}

func TestAttackProgramsDetached(t *testing.T) {
	w := newWire(t)
	bottle, plan := served(t)
	escape(t, "programs detached", w, actor{ns: bottle})
	if lines, err := bottle.Diff(plan); err != nil || len(lines) > 0 {
		t.Errorf("changed: %v, %v", lines, err)
	}
}

// No rules, no programs, root with every capability over the namespace: there is no wire.
func TestAttackNoWire(t *testing.T) {
	w := newWire(t)
	bottle, _ := served(t)
	flushRules(t, bottle)
	escape(t, "namespace alone, all capabilities", w, actor{ns: bottle, root: true})

	to := sinkAddr4(250)
	attack.Stopped(t, "K04", "packet socket, namespace alone, all capabilities",
		func(t *testing.T) error {
			if err := (actor{ns: w.ns, root: true}).run(t, "packet", netip.AddrPortFrom(to, 0).String()); err != nil {
				return err
			}
			return silent(!w.saw(to, arrives))
		},
		func(t *testing.T) error {
			to := sinkAddr4(251)
			said := (actor{ns: bottle, root: true}).run(t, "packet", netip.AddrPortFrom(to, 0).String())
			if w.saw(to, 20*time.Millisecond) {
				return nil
			}
			return fmt.Errorf("nothing on the wire; the program saw: %v", said)
		})
}

func silent(yes bool) error {
	if yes {
		return errors.New("nothing reached the wire")
	}
	return nil
}

// A group below the bottle's is held by the same programs.
func TestAttackNestedGroup(t *testing.T) {
	w := newWire(t)
	bottle, _ := newBottle(t)
	group := newGroup(t)
	attach(t, group, bottle)
	nested, err := cgroup.Create(group.Path() + "/nested")
	must(t, err)
	defer nested.Close()
	attack.Stopped(t, "K43", "a group of its own below",
		func(t *testing.T) error {
			return errors.Join(
				actor{ns: w.ns}.run(t, "tcp", netip.AddrPortFrom(sinkAddr4(1), 80).String()),
				silent(!w.saw(sinkAddr4(1), arrives)))
		},
		func(t *testing.T) error {
			said := actor{ns: w.ns, cg: nested}.run(t, "tcp", netip.AddrPortFrom(sinkAddr4(2), 80).String())
			if w.saw(sinkAddr4(2), 20*time.Millisecond) {
				return nil
			}
			return said
		})
}

// served is a bottle with its listeners, of which nobody accepts.
func served(t *testing.T) (*netns.Namespace, netns.Plan) {
	t.Helper()
	ns, plan := newBottle(t)
	listeners, err := ns.Listen(plan)
	must(t, err)
	t.Cleanup(func() { listeners.Close() })
	return ns, plan
}

func flushRules(t *testing.T, ns *netns.Namespace) {
	t.Helper()
	must(t, ns.Do(func() error {
		conn, err := nftables.New()
		if err != nil {
			return err
		}
		conn.FlushRuleset()
		return conn.Flush()
	}))
}
