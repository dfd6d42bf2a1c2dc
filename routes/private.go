package routes

import (
	"fmt"
	"net/netip"
	"slices"
)

// privateSpace is what allow_private may open: the special-purpose ranges that
// hold machines of the operator (IANA registries, RFC 1918, 4193, 6598, 1122), and
// the ranges for documentation (RFC 5737), which no public host has and networks
// that hand their machines a mirror of the outside give to it.
var privateSpace = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("fc00::/7"),
	netip.MustParsePrefix("::1/128"),
}

// metadataSpace is where the instance metadata services of the clouds are. They
// hand out the credentials of the machine, so nothing opens them.
var metadataSpace = []netip.Prefix{
	netip.MustParsePrefix("169.254.169.254/32"),     // AWS, Azure, Google, OpenStack, others
	netip.MustParsePrefix("169.254.170.2/32"),       // AWS ECS task credentials
	netip.MustParsePrefix("169.254.170.23/32"),      // AWS EKS pod identity
	netip.MustParsePrefix("100.100.100.200/32"),     // Alibaba
	netip.MustParsePrefix("168.63.129.16/32"),       // Azure wire server
	netip.MustParsePrefix("192.0.0.192/32"),         // Oracle
	netip.MustParsePrefix("fd00:ec2::/32"),          // AWS over IPv6
	netip.MustParsePrefix("fd20:ce::254/128"),       // Google over IPv6
	netip.MustParsePrefix("fd00:c1::a9fe:a9fe/128"), // Oracle over IPv6
}

// IsMetadata reports whether addr is the metadata service of a known cloud, in
// IPv4, IPv6 or IPv4-mapped form. No allow_private ever opens it.
func IsMetadata(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(metadataSpace, func(m netip.Prefix) bool { return m.Contains(addr) })
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
	if slices.ContainsFunc(metadataSpace, within(p)) {
		return fmt.Errorf("allow_private %s is a metadata service, which no route may reach", p)
	}
	if slices.ContainsFunc(privateSpace, within(p)) {
		return nil
	}
	return fmt.Errorf("allow_private %s is not inside private address space (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, 127.0.0.0/8, 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, fc00::/7, ::1): public addresses need no entry, link-local ones are never reachable", p)
}

// within tells whether a space holds all of p.
func within(p netip.Prefix) func(netip.Prefix) bool {
	return func(space netip.Prefix) bool { return space.Bits() <= p.Bits() && space.Contains(p.Addr()) }
}
