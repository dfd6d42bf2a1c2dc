package routes

import (
	"fmt"
	"net/netip"
)

// privateSpace is what allow_private may open: the special-purpose ranges that
// hold machines of the operator (IANA registries, RFC 1918, 4193, 6598, 1122).
var privateSpace = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("fc00::/7"),
	netip.MustParsePrefix("::1/128"),
}

// metadataAddrs are the instance metadata services of the clouds. They hand out
// the credentials of the machine, so nothing opens them.
var metadataAddrs = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"), // AWS, Azure, Google, OpenStack, others
	netip.MustParseAddr("169.254.170.2"),   // AWS ECS task credentials
	netip.MustParseAddr("169.254.170.23"),  // AWS EKS pod identity
	netip.MustParseAddr("100.100.100.200"), // Alibaba
	netip.MustParseAddr("168.63.129.16"),   // Azure wire server
	netip.MustParseAddr("192.0.0.192"),     // Oracle
	netip.MustParseAddr("fd00:ec2::254"),   // AWS over IPv6
	netip.MustParseAddr("fd00:ec2::23"),    // AWS EKS over IPv6
	netip.MustParseAddr("fd20:ce::254"),    // Google over IPv6
}

// IsMetadata reports whether addr is the metadata service of a known cloud, in
// IPv4, IPv6 or IPv4-mapped form. No allow_private ever opens it.
func IsMetadata(addr netip.Addr) bool { return isMetadata(addr) }

func isMetadata(addr netip.Addr) bool {
	addr = addr.Unmap()
	for _, m := range metadataAddrs {
		if addr == m {
			return true
		}
	}
	return false
}

// ParsePrivate parses one entry of allow_private: a prefix (or one address)
// inside private address space.
func ParsePrivate(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		addr, aerr := netip.ParseAddr(s)
		if aerr != nil || addr.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is not an address range: write one such as 10.1.0.0/16", clip(s))
		}
		p = netip.PrefixFrom(addr, addr.BitLen())
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits set beyond its length: write %s", clip(s), p.Masked())
	}
	return p, checkPrivate(p)
}

func checkPrivate(p netip.Prefix) error {
	if p.IsSingleIP() && isMetadata(p.Addr()) {
		return fmt.Errorf("allow_private %s is a metadata service, which no route may reach", p)
	}
	for _, space := range privateSpace {
		if space.Bits() <= p.Bits() && space.Contains(p.Addr()) {
			return nil
		}
	}
	return fmt.Errorf("allow_private %s is not inside private address space (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, 127.0.0.0/8, fc00::/7, ::1): public addresses need no entry, link-local ones are never reachable", p)
}

// Permits reports whether the route's host may resolve to addr although addr is
// private: it is in an AllowPrivate range and is no metadata service.
func (r *Route) Permits(addr netip.Addr) bool {
	if r == nil || isMetadata(addr) {
		return false
	}
	addr = addr.Unmap().WithZone("")
	for _, p := range r.AllowPrivate {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
