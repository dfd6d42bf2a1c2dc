package gate

import "net/netip"

// A class says what may lift the refusal of a range.
type class uint8

const (
	never   class = iota // no route can open it
	private              // a route's allow_private may open it
)

type special struct {
	prefix netip.Prefix
	class  class
	what   string
}

// ranges are the special-purpose addresses of the IANA registries (RFC 6890 and
// its updates, as of the IPv4 and IPv6 Special-Purpose Address Registries) and
// the metadata services of the clouds, the most specific entry first where two
// overlap. IPv6 outside 2000::/3 needs no entry to be refused; the entries there
// name the range and say what may open it.
var ranges = []special{
	// Metadata services: they hand out the credentials of the host. Some live in
	// ranges that allow_private may open, one (Azure's) in public space.
	{pfx("169.254.169.254/32"), never, "cloud metadata service"},
	{pfx("100.100.100.200/32"), never, "cloud metadata service (Alibaba)"},
	{pfx("168.63.129.16/32"), never, "cloud metadata service (Azure)"},
	{pfx("192.0.0.192/32"), never, "cloud metadata service (Oracle)"},
	{pfx("fd00:ec2::/32"), never, "cloud metadata service (AWS)"},
	{pfx("fd20:ce::254/128"), never, "cloud metadata service (Google)"},
	{pfx("fd00:c1::a9fe:a9fe/128"), never, "cloud metadata service (Oracle)"},

	{pfx("0.0.0.0/8"), never, "this network (RFC 791)"},
	{pfx("10.0.0.0/8"), private, "private network (RFC 1918)"},
	{pfx("100.64.0.0/10"), private, "carrier-grade NAT (RFC 6598)"},
	{pfx("127.0.0.0/8"), private, "loopback (RFC 1122)"},
	{pfx("169.254.0.0/16"), never, "link-local (RFC 3927)"},
	{pfx("172.16.0.0/12"), private, "private network (RFC 1918)"},
	{pfx("192.0.0.0/24"), never, "IETF protocol assignments (RFC 6890)"},
	{pfx("192.0.2.0/24"), private, "documentation (RFC 5737)"},
	{pfx("192.88.99.0/24"), never, "6to4 relay anycast (RFC 7526)"},
	{pfx("192.168.0.0/16"), private, "private network (RFC 1918)"},
	{pfx("198.18.0.0/15"), never, "benchmarking (RFC 2544), the bottle's synthetic addresses"},
	{pfx("198.51.100.0/24"), private, "documentation (RFC 5737)"},
	{pfx("203.0.113.0/24"), private, "documentation (RFC 5737)"},
	{pfx("224.0.0.0/4"), never, "multicast (RFC 5771)"},
	{pfx("240.0.0.0/4"), never, "reserved (RFC 1112) and broadcast"},

	{pfx("::/128"), never, "unspecified address"},
	{pfx("::1/128"), private, "loopback (RFC 4291)"},
	{pfx("64:ff9b:1::/48"), never, "local-use NAT64 (RFC 8215)"},
	{pfx("100::/64"), never, "discard-only (RFC 6666)"},
	{pfx("2001::/32"), never, "Teredo (RFC 4380)"},
	{pfx("2001::/23"), never, "IETF protocol assignments (RFC 2928)"},
	{pfx("2001:db8::/32"), never, "documentation (RFC 3849)"},
	{pfx("2002::/16"), never, "6to4 (RFC 3056)"},
	{pfx("3fff::/20"), never, "documentation (RFC 9637)"},
	{pfx("fc00::/7"), private, "unique local (RFC 4193)"},
	{pfx("fe80::/10"), never, "link-local (RFC 4291)"},
	{pfx("fec0::/10"), never, "site-local (RFC 3879)"},
	{pfx("ff00::/8"), never, "multicast (RFC 4291)"},
}

var (
	globalUnicast = pfx("2000::/3")     // RFC 4291 section 2.4; the rest of IPv6 is unassigned or special
	nat64         = pfx("64:ff9b::/96") // RFC 6052: the IPv4 address is in the last four bytes
)

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }
