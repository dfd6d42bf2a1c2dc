package gate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// Chain is another proxy that everything is dialled through.
type Chain struct {
	Host string // canonical name, or an IP literal without brackets
	Port uint16
	// Tunnel asks the proxy at the other end of conn for a tunnel to authority
	// (host:port) and returns it. On an error the Gate closes conn.
	Tunnel func(ctx context.Context, conn net.Conn, authority string) (net.Conn, error)
}

// ChainError is the error of a chain that did not come about. Its text holds
// nothing of what the proxy sent but numbers.
type ChainError struct {
	Proxy string // host:port
	Err   error
}

func (e *ChainError) Error() string { return fmt.Sprintf("upstream_proxy %s: %v", e.Proxy, e.Err) }

// Unwrap returns the cause.
func (e *ChainError) Unwrap() error { return e.Err }

// ErrSlow is the cause of a [ChainError] where the proxy takes too long.
var ErrSlow = errors.New("it did not answer in time")

// Through makes the Gate dial everything through c, from its next Dial on, and
// never directly. Then names of upstreams are not resolved here: the mirror still
// judges them, an address is judged as it is, and the proxy's own address may be
// private, for who wrote the manifest named it, but no metadata service.
func (g *Gate) Through(c Chain) { g.chain = &c }

// anywhere are the ranges that the proxy itself may be in.
var anywhere = []netip.Prefix{pfx("0.0.0.0/0"), pfx("::/0")}

func (g *Gate) dialChain(ctx context.Context, t Target, self []netip.Addr) (net.Conn, error) {
	if a, err := netip.ParseAddr(t.Host); err == nil {
		if err := Refuse(a, t.AllowPrivate, self); err != nil {
			return nil, &Refusal{t.Host, err.Error()}
		}
	}
	c := g.chain
	fail := func(err error) error {
		return &ChainError{net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))), err}
	}
	addrs, err := g.resolve(ctx, c.Host)
	if err != nil {
		return nil, fail(errors.New("its name does not resolve"))
	}
	open, err := permitted(addrs, c.Port, anywhere, self)
	if err != nil {
		return nil, &Refusal{c.Host, err.Error()}
	}
	conn, err := race(ctx, g.dial, open)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, fail(ErrSlow)
	case err != nil:
		return nil, fail(errors.New("no connection to it"))
	}
	tunnel, err := c.Tunnel(ctx, conn, net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port))))
	if err != nil {
		conn.Close()
		return nil, fail(err)
	}
	return tunnel, nil
}

// permitted returns those of addrs that may be dialled, and why where none may.
func permitted(addrs []netip.Addr, port uint16, allow []netip.Prefix, self []netip.Addr) ([]netip.AddrPort, error) {
	var open []netip.AddrPort
	var refused error
	for _, a := range addrs {
		if err := Refuse(a, allow, self); err != nil {
			refused = err
			continue
		}
		open = append(open, netip.AddrPortFrom(a.Unmap(), port))
	}
	if len(open) == 0 {
		return nil, refused
	}
	return open, nil
}
