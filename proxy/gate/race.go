package gate

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// stagger is the Connection Attempt Delay of RFC 8305 section 5.
const stagger = 250 * time.Millisecond

type attempt struct {
	conn net.Conn
	err  error
}

// race starts one attempt after another, each a little later or as soon as the
// last one failed, and returns the first connection. Connections that lose are
// closed. It needs at least one address.
func race(ctx context.Context, dial Dialer, addrs []netip.AddrPort) (net.Conn, error) {
	if len(addrs) == 1 {
		return dial(ctx, "tcp", addrs[0])
	}
	addrs = interleave(addrs)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan attempt)
	running, next := 0, 0
	start := func() {
		addr := addrs[next]
		next, running = next+1, running+1
		go func() {
			conn, err := dial(ctx, "tcp", addr)
			select {
			case done <- attempt{conn, err}:
			case <-ctx.Done():
				if conn != nil {
					conn.Close()
				}
			}
		}()
	}
	start()
	timer := time.NewTimer(stagger)
	defer timer.Stop()
	var first error
	for {
		select {
		case a := <-done:
			if a.err == nil {
				return a.conn, nil
			}
			running--
			if first == nil {
				first = a.err
			}
			if next < len(addrs) {
				start()
			} else if running == 0 {
				return nil, first
			}
		case <-timer.C:
			if next < len(addrs) {
				start()
				timer.Reset(stagger)
			}
		case <-ctx.Done():
			if first == nil {
				first = ctx.Err()
			}
			return nil, first
		}
	}
}

// interleave alternates address families, the family of the first address
// leading (RFC 8305 section 4).
func interleave(addrs []netip.AddrPort) []netip.AddrPort {
	var lead, rest []netip.AddrPort
	for _, a := range addrs {
		if a.Addr().Is4() == addrs[0].Addr().Is4() {
			lead = append(lead, a)
		} else {
			rest = append(rest, a)
		}
	}
	out := make([]netip.AddrPort, 0, len(addrs))
	for i := 0; i < len(lead) || i < len(rest); i++ {
		if i < len(lead) {
			out = append(out, lead[i])
		}
		if i < len(rest) {
			out = append(out, rest[i])
		}
	}
	return out
}
