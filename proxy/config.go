package proxy

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"

	"bottled/audit"
	"bottled/ca"
	"bottled/proxy/gate"
	"bottled/routes"
	"bottled/secret"
)

// Config is what a [Server] works with. Table, CA and Audit are required.
type Config struct {
	// Table decides. Swap replaces it.
	Table *routes.Table
	// CA mints the leaves that the bottle's programs see.
	CA *ca.Authority
	// Credential returns the token of a slot ("EGRESS_PROXY_TOKEN_0") of the table of
	// that generation: a slot of another table may be another token. Nil, or false,
	// refuses the requests that need it. It is asked when a table comes into force, and
	// for each request.
	Credential func(generation uint64, slot string) (secret.Token, bool)
	// Resolver looks up upstream names. Nil: the host's resolver.
	Resolver gate.Resolver
	// Dial opens a connection to an address that was checked. Nil: a net.Dialer.
	Dial gate.Dialer
	// HostAddrs lists the host's own addresses, which are never dialled unless a
	// route's allow_private says so. Nil: net.InterfaceAddrs.
	HostAddrs func() ([]netip.Addr, error)
	// BottleAddrs are the addresses of the bottle itself. A connection to one of
	// them, or to loopback, went to the listener directly and is closed.
	BottleAddrs []netip.Addr
	// Roots verify upstreams, nothing else does. It is asked when an upstream is
	// spoken to, more than once. Nil, or what returns nil: the system's.
	Roots func() *x509.CertPool
	// Upstream is another proxy that every connection goes through, none directly.
	// Nil: there is none.
	Upstream *Upstream
	// Names tells the name behind a synthetic address. Nil: there are none.
	Names func(netip.Addr) (routes.Host, bool)
	// Process tells who opened a connection, for the audit. It is called once for each,
	// with what Accept returned, before anything is read from it. Nil: nobody knows.
	Process func(accepted net.Conn) audit.Process
	// Audit takes one event for each request or connection.
	Audit audit.Sink
	// Scanner judges what leaves. Nil: nothing is scanned.
	Scanner Scanner
	// Bottle and Owner are copied into events.
	Bottle, Owner string
	// Limits bound resources.
	Limits Limits
	// Magic answers paths of the magic host that the Server does not know, such as
	// /mcp. Nil: 404.
	Magic http.Handler
}

func (c *Config) check() error {
	switch {
	case c.Table == nil:
		return errors.New("proxy: Config.Table is missing; an empty table denies everything")
	case c.CA == nil:
		return errors.New("proxy: Config.CA is missing")
	case c.Audit == nil:
		return errors.New("proxy: Config.Audit is missing; audit.Discard records nothing on purpose")
	}
	if c.Credential == nil {
		c.Credential = func(uint64, string) (secret.Token, bool) { return secret.Token{}, false }
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	if c.Dial == nil {
		var d net.Dialer
		c.Dial = func(ctx context.Context, network string, addr netip.AddrPort) (net.Conn, error) {
			return d.DialContext(ctx, network, addr.String())
		}
	}
	if c.HostAddrs == nil {
		c.HostAddrs = interfaceAddrs
	}
	if c.Names == nil {
		c.Names = func(netip.Addr) (routes.Host, bool) { return routes.Host{}, false }
	}
	if c.Process == nil {
		c.Process = func(net.Conn) audit.Process { return audit.Process{} }
	}
	c.Limits = c.Limits.orDefaults()
	return nil
}

func interfaceAddrs() ([]netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Addr())
		}
	}
	return out, nil
}
