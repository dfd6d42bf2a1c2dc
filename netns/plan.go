package netns

import (
	"net/netip"
	"os"
)

// Plan is the desired state of a namespace. [Default] gives the usual one.
type Plan struct {
	// Addr4 and Addr6 are the bottle's own addresses, on loopback. Without one,
	// connect(2) says ENETUNREACH. Without an Addr6 there is no IPv6 beyond ::1.
	Addr4, Addr6 netip.Addr

	// Proxy4 and Proxy6 are where the transparent listeners are bound. They are
	// addresses of nobody, so that no server of the bottle gets in their way.
	Proxy4, Proxy6 netip.AddrPort

	// Table and Priority of the routes that make every address local. The rule
	// comes after the kernel's own (0, lookup local), so that loopback and the own
	// addresses are found there first.
	Table, Priority int

	// Interface is the name of a second interface, for programs that do not try to
	// connect unless there is one beside loopback (Chromium's online check). It is
	// one end of a pair whose other end is in the namespace too: not a wire, and no
	// packet may leave by it. Empty: none.
	Interface string
}

// Default returns the plan of every bottle; all bottles have the same addresses, which
// nobody else ever sees. 100.64.0.0/10 is set aside for carriers (RFC 6598) and fd00::/8
// for local use (RFC 4193). IPv6 is left out where the kernel has none.
func Default() Plan {
	p := Plan{
		Addr4:    netip.AddrFrom4([4]byte{100, 64, 0, 2}),
		Proxy4:   netip.MustParseAddrPort("100.64.0.1:1"),
		Table:    100,
		Priority: 1,
	}
	if kernelHasIPv6() {
		p.Addr6 = netip.MustParseAddr("fd62:6f74:746c:6564::2")
		p.Proxy6 = netip.MustParseAddrPort("[fd62:6f74:746c:6564::1]:1")
	}
	return p
}

// kernelHasIPv6 is false where the host was booted with ipv6.disable=1.
func kernelHasIPv6() bool {
	_, err := os.Stat("/proc/sys/net/ipv6")
	return err == nil
}

// Addresses returns the bottle's own addresses.
func (p Plan) Addresses() []netip.Addr {
	addrs := []netip.Addr{p.Addr4}
	if p.Addr6.IsValid() {
		addrs = append(addrs, p.Addr6)
	}
	return addrs
}
