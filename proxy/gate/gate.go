package gate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Resolver looks names up; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Dialer opens a TCP connection to one address. It resolves nothing.
type Dialer func(ctx context.Context, network string, addr netip.AddrPort) (net.Conn, error)

// Target is what a caller wants dialled: a canonical name (lower case, no
// trailing dot) or an IP literal without brackets, a port, and the private
// prefixes that the route opened. The zero Target is refused.
type Target struct {
	Host         string
	Port         uint16
	AllowPrivate []netip.Prefix
}

// Refusal is the error of a [Gate] that will not dial. It is a decision, not a
// fault: the caller answers it like any other denial.
type Refusal struct {
	Host   string
	Reason string
}

func (r *Refusal) Error() string { return fmt.Sprintf("dial gate: %q: %s", r.Host, r.Reason) }

// ErrResolve marks an error of name resolution.
var ErrResolve = errors.New("name does not resolve")

// Gate dials. It is safe for concurrent use. A new Gate allows nothing until
// [Gate.Allow] is called.
type Gate struct {
	resolver Resolver
	dial     Dialer
	self     func() ([]netip.Addr, error)
	mirror   mirror
	timeout  time.Duration
	chain    *Chain // nil: upstreams are dialled themselves
}

// New returns a Gate. self lists the host's own addresses, asked at each dial;
// its error refuses the dial. timeout bounds one Dial, resolution included.
func New(r Resolver, d Dialer, self func() ([]netip.Addr, error), timeout time.Duration) *Gate {
	return &Gate{resolver: r, dial: d, self: self, timeout: timeout}
}

// Allow replaces the gate's own set of names. A pattern is an exact name, an IP
// literal, or "*." and a name, which stands for every name below it but not for
// the name itself.
func (g *Gate) Allow(patterns []string) { g.mirror.store(patterns) }

// Dial resolves t.Host, checks each address and connects to one that passed,
// trying the next when one does not answer (RFC 8305). The error is a *Refusal
// where the gate said no.
func (g *Gate) Dial(ctx context.Context, t Target) (net.Conn, error) {
	if t.Port == 0 {
		return nil, &Refusal{t.Host, "no port"}
	}
	if !g.mirror.has(t.Host) {
		return nil, &Refusal{t.Host, "not in the dialler's own copy of the allowed hosts"}
	}
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	self, err := g.self()
	if err != nil {
		return nil, &Refusal{t.Host, "this host's own addresses are not known: " + err.Error()}
	}
	if g.chain != nil {
		return g.dialChain(ctx, t, self)
	}
	addrs, err := g.resolve(ctx, t.Host)
	if err != nil {
		return nil, err
	}
	open, err := permitted(addrs, t.Port, t.AllowPrivate, self)
	if err != nil {
		return nil, &Refusal{t.Host, err.Error()}
	}
	return race(ctx, g.dial, open)
}

// resolve asks for the name as fully qualified, so that no search domain of the
// host's resolver is ever appended.
func (g *Gate) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	addrs, err := g.resolver.LookupNetIP(ctx, "ip", host+".")
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrResolve, host, err)
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%w: %q: no addresses", ErrResolve, host)
	}
	return addrs, nil
}
