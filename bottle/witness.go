package bottle

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"bottled/audit"
	"bottled/bpf"
	"bottled/cgroup"
)

// retryEvents is how long to wait before asking a worker for its events again: it
// answers as long as it lives, so what fails is passing.
const retryEvents = time.Second

// witness brings what the bottle's walls report to the audit log: the enforcer's
// decisions, and the kernel's refusals of what is in the bottle and of the enforcer. It
// returns when the bottle has ended or is forgotten, and closes the hooks and the fence.
func (b *bottle) witness(hooks *bpf.Hooks) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var readers sync.WaitGroup
	readers.Go(func() {
		if err := hooks.Refusals(ctx, b.refused); err != nil {
			b.m.o.Log.Error("the kernel's refusals cannot be read", "bottle", b.record.ID, "error", err)
		}
	})
	readers.Go(func() {
		if err := b.fence.Refusals(ctx, b.fenced); err != nil {
			b.m.o.Log.Error("the kernel's refusals of an enforcer cannot be read", "bottle", b.record.ID, "error", err)
		}
	})
	decisions := make(chan struct{})
	readers.Go(func() {
		defer close(decisions)
		b.follow(ctx)
	})
	b.news() // what an earlier daemon may not have seen
	readers.Go(func() { b.preapprove(ctx) })
	released := false
	select {
	case <-b.ended: // forgotten
	case <-b.released:
		released = true
		select { // the enforcer's last events are in the socket that it left behind
		case <-decisions:
		case <-time.After(lastWordsTime):
		}
	}
	cancel()
	readers.Wait()
	if released {
		b.m.o.Audit.Record(audit.Event{
			Time: now(), Kind: audit.Control, Bottle: b.record.ID, Owner: b.record.owner(),
			Generation: b.Info().Generation, Verdict: audit.Allow, Reason: ReasonEnded,
		})
	}
	close(b.witnessed)
	if err := errors.Join(hooks.Close(), b.fence.Close()); err != nil {
		b.m.o.Log.Error("close the hooks of a bottle", "bottle", b.record.ID, "error", err)
	}
}

// Reasons of the events that begin and end the account of a bottle.
const (
	ReasonStarted = "bottle-started" // its Duration is how long the start took
	ReasonFailed  = "bottle-failed"  // a start that came to nothing
	ReasonEnded   = "bottle-ended"   // the last event of a bottle
)

// lastWordsTime bounds how long the end of a bottle waits for its last events.
const lastWordsTime = 500 * time.Millisecond

// lastWords ends the bottle's processes and waits until its enforcer, which is about
// to go, has told what it decided: a short command is over before its refusal is read.
func (b *bottle) lastWords() {
	ctx, cancel := context.WithTimeout(context.Background(), lastWordsTime)
	defer cancel()
	group, err := cgroup.Open(b.paths.inside())
	if err != nil {
		return // nothing is left; release says what is wrong if something is
	}
	defer group.Close()
	if group.Kill(ctx) == nil {
		_ = b.worker.Idle(ctx) // one that does not answer has nothing to say
	}
}

// follow records the enforcer's decisions.
func (b *bottle) follow(ctx context.Context) {
	for ctx.Err() == nil {
		err := b.worker.Events(ctx, func(e audit.Event) {
			e = b.told(e)
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

// reasonForged stands in the place of what an enforcer had no business to report.
const reasonForged = "enforcer-forged-event"

// told is what the daemon takes of an enforcer's word, which may be its attacker's. Whose
// the event is the daemon knows, and that it was between the start and now; and what the
// daemon or the kernel has to say, such as that the bottle ended, nobody else says.
func (b *bottle) told(e audit.Event) audit.Event {
	switch e.Kind {
	case audit.Request, audit.Connection, audit.Query:
	case audit.Control:
		if strings.HasPrefix(e.Reason, "proposal-") {
			break
		}
		fallthrough
	default:
		e = audit.Event{Time: e.Time, Kind: audit.Control, Reason: reasonForged}
	}
	e.Bottle, e.Owner = b.record.ID, b.record.owner()
	if at := time.Now(); e.Time.Before(b.record.Created) || e.Time.After(at) {
		e.Time = at
	}
	return e
}

// refused records one refusal by the hooks.
func (b *bottle) refused(r bpf.Refusal) { b.recordRefusal(r, "") }

// fenced records what the fence refused to the enforcer, which does not try that by
// itself, except that it may know of another name server a moment before its fence does.
func (b *bottle) fenced(r bpf.Refusal) {
	if r.Destination.Port() != portDNS {
		b.fence.alert.Do(func() {
			b.m.o.Log.Error("an enforcer tried what its table gives no reason for and may be in somebody else's hands: stop the bottle; the audit log has every attempt",
				"bottle", b.record.ID, "name", b.record.Name, "call", r.Call, "to", unmapped(r.Destination))
		})
	}
	b.recordRefusal(r, "enforcer-")
}

func (b *bottle) recordRefusal(r bpf.Refusal, whose string) {
	b.m.o.Audit.Record(audit.Event{
		Time: r.Time, Kind: audit.Kernel, Bottle: b.record.ID, Owner: b.record.owner(),
		Process:     audit.Process{PID: r.Process.PID, Comm: r.Process.Comm, UID: r.Process.UID},
		Protocol:    protocolName(r.Protocol),
		OriginalDst: unmapped(r.Destination),
		Reason:      whose + r.Call.String() + "-" + r.Reason.String(),
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
