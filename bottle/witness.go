package bottle

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"bottled/audit"
	"bottled/bpf"
)

// retryEvents is how long to wait before asking a worker for its events again: it
// answers as long as it lives, so what fails is passing.
const retryEvents = time.Second

// witness brings what the bottle's walls report to the audit log: the enforcer's
// decisions, and the kernel's refusals. It returns when the bottle has ended or is
// forgotten, and closes the hooks.
func (b *bottle) witness(hooks *bpf.Hooks) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	refusals := make(chan struct{})
	go func() {
		defer close(refusals)
		if err := hooks.Refusals(ctx, b.refused); err != nil {
			b.m.o.Log.Error("the kernel's refusals cannot be read", "bottle", b.record.ID, "error", err)
		}
	}()
	decisions := make(chan struct{})
	go func() {
		defer close(decisions)
		b.follow(ctx)
	}()
	b.news() // what an earlier daemon may not have seen
	approvals := make(chan struct{})
	go func() {
		defer close(approvals)
		b.preapprove(ctx)
	}()
	<-b.ended
	cancel()
	<-refusals
	<-decisions
	<-approvals
	if err := hooks.Close(); err != nil {
		b.m.o.Log.Error("close the hooks of a bottle", "bottle", b.record.ID, "error", err)
	}
}

// follow records the enforcer's decisions. What they say of the bottle is said
// again here, because a worker may be in its attacker's hand.
func (b *bottle) follow(ctx context.Context) {
	owner := strconv.FormatUint(uint64(b.record.Owner), 10)
	for ctx.Err() == nil {
		err := b.worker.Events(ctx, func(e audit.Event) {
			e.Bottle, e.Owner = b.record.ID, owner
			if e.Kind == audit.Control {
				b.news()
			}
			b.m.o.Audit.Record(e)
		})
		if err != nil && !errors.Is(err, context.Canceled) {
			b.m.o.Log.Debug("audit events of a bottle", "bottle", b.record.ID, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-b.worker.Done():
			return
		case <-time.After(retryEvents):
		}
	}
}

// refused records one refusal by the hooks.
func (b *bottle) refused(r bpf.Refusal) {
	b.m.o.Audit.Record(audit.Event{
		Time: r.Time, Kind: audit.Kernel, Bottle: b.record.ID, Owner: strconv.FormatUint(uint64(b.record.Owner), 10),
		Process:     audit.Process{PID: r.Process.PID, Comm: r.Process.Comm, UID: r.Process.UID},
		Protocol:    protocolName(r.Protocol),
		OriginalDst: unmapped(r.Destination),
		Reason:      r.Call.String() + "-" + r.Reason.String(),
	})
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// protocolName names an IP protocol as people do, or by its number.
func protocolName(protocol int) string {
	switch protocol {
	case unix.IPPROTO_TCP:
		return "tcp"
	case unix.IPPROTO_UDP:
		return "udp"
	case unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6:
		return "icmp"
	case unix.IPPROTO_UDPLITE:
		return "udplite"
	case unix.IPPROTO_SCTP:
		return "sctp"
	}
	return "ip-" + strconv.Itoa(protocol)
}
