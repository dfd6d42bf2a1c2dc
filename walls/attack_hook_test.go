package walls

import (
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"

	"bottled/attack"
	"bottled/bpf"
)

// Each hook alone, with all others detached, in a namespace with a wire: what it must
// stop by itself.
func TestAttackEachHookAlone(t *testing.T) {
	w := newWire(t)
	bottle, _ := newBottle(t)
	n := 0
	for _, hook := range []struct {
		hook    bpf.Hook
		attacks []struct{ id, probe, family string }
	}{
		{bpf.Connect4, []struct{ id, probe, family string }{{"T01", "tcp", "4"}, {"K45", "io-uring", "4"}, {"K10", "tcp-fastopen", "4"}, {"T12", "udp-connected", "4"}}},
		{bpf.Connect6, []struct{ id, probe, family string }{{"T01", "tcp", "6"}, {"K52", "tcp-mapped", "4"}, {"T12", "udp-connected", "6"}}},
		{bpf.Sendmsg4, []struct{ id, probe, family string }{{"T12", "udp", "4"}, {"K52", "udp-mapped", "4"}}},
		{bpf.Sendmsg6, []struct{ id, probe, family string }{{"T12", "udp", "6"}}},
		{bpf.Egress, []struct{ id, probe, family string }{
			{"T01", "tcp", "4"}, {"T01", "tcp", "6"}, {"K52", "tcp-mapped", "4"}, {"K10", "tcp-fastopen", "4"},
			{"K09", "mptcp", "4"}, {"T12", "udp", "4"}, {"T12", "udp", "6"}, {"T12", "udp-connected", "4"},
			{"K52", "udp-mapped", "4"}, {"K01", "udplite", "4"}, {"K01", "udplite-connect", "6"},
			{"K03", "ping", "4"}, {"K03", "ping", "6"}, {"K03", "raw-253", "4"}, {"K03", "raw-udp", "6"},
			{"K03", "raw-header", "4"}, {"K18", "raw-dstopts", "6"}, {"K19", "raw-fragment", "4"},
			{"K19", "raw-fragment-end", "4"}, {"K22", "raw-tcp-flags", "4"}, {"K22", "raw-tcp-flags", "6"},
		}},
	} {
		group := newGroup(t)
		attachOnly(t, attachment{group: group, ns: bottle}, hook.hook)
		for _, a := range hook.attacks {
			n += 2
			target := func(n int) netip.AddrPort {
				if a.family == "6" {
					return netip.AddrPortFrom(sinkAddr6(n), 443)
				}
				return netip.AddrPortFrom(sinkAddr4(n), 443)
			}
			try := func(who actor, to netip.AddrPort, patience time.Duration) error {
				who.root = true
				said := who.run(t, a.probe, to.String())
				if w.saw(to.Addr(), patience) {
					return nil
				}
				return errors.Join(said, errors.New("nothing reached the wire"))
			}
			attack.Stopped(t, a.id, a.probe+" over IPv"+a.family+", "+string(hook.hook)+" alone",
				func(t *testing.T) error { return try(actor{ns: w.ns}, target(n), arrives) },
				func(t *testing.T) error { return try(actor{ns: w.ns, cg: group}, target(n+1), 20*time.Millisecond) },
			)
		}
	}
}

// A program takes an address that is not its own, for which IP_FREEBIND needs no
// capability: the programs refuse.
func TestAttackForeignSource(t *testing.T) {
	bottle, _ := served(t)
	for _, target := range []string{"192.0.2.1:0", "[2001:db8::9]:0"} {
		group := newGroup(t)
		attach(t, group, bottle)
		attack.Stopped(t, "K16", "bind to "+target,
			func(t *testing.T) error { return actor{ns: bottle}.run(t, "freebind", target) },
			func(t *testing.T) error { return actor{ns: bottle, cg: group}.run(t, "freebind", target) })
	}
}

// attachOnly attaches the programs and then detaches all but those to keep.
func attachOnly(t *testing.T, a attachment, keep ...bpf.Hook) {
	t.Helper()
	dir := pinDir()
	h, err := bpf.Attach(a.options(dir))
	must(t, err)
	defer h.Close()
	t.Cleanup(func() { must(t, bpf.Remove(dir)) })
	for _, hook := range []bpf.Hook{bpf.SockCreate, bpf.SockRelease, bpf.Bind4, bpf.Bind6, bpf.Connect4,
		bpf.Connect6, bpf.Sendmsg4, bpf.Sendmsg6, bpf.Egress, bpf.SockOps} {
		if slices.Contains(keep, hook) {
			continue
		}
		l, err := link.LoadPinnedLink(filepath.Join(dir, string(hook)), nil)
		must(t, err)
		must(t, errors.Join(l.Detach(), l.Close()))
	}
	if err := h.Verify(a.group.FD(), a.ns.Cookie()); !errors.Is(err, bpf.ErrIncomplete) {
		t.Errorf("Verify of an incomplete set: %v", err)
	}
}
