package bpf

import "net/netip"

// class is what kind of place an address is. The values are those of src/ranges.h.
type class uint8

const (
	never   class = iota // nothing opens it
	private              // an opening for it is needed
	public
	nat64 // by the IPv4 address in the last four bytes (RFC 6052)
)

// ranges are the special-purpose addresses of the IANA registries (RFC 6890 and its
// updates) and the metadata services of the clouds; the longest one that holds an
// address counts. They share nothing with those of the dial gate on purpose: a mistake
// there must not be a mistake here. Package walls asks both about each.
var ranges = map[string]class{
	"0.0.0.0/0":    public,
	"2000::/3":     public, // RFC 4291 section 2.4: the rest of IPv6 is unassigned or special
	"64:ff9b::/96": nat64,

	"10.0.0.0/8":      private, // RFC 1918
	"172.16.0.0/12":   private,
	"192.168.0.0/16":  private,
	"100.64.0.0/10":   private, // RFC 6598
	"127.0.0.0/8":     private, // loopback
	"::1/128":         private,
	"192.0.2.0/24":    private, // documentation, RFC 5737
	"198.51.100.0/24": private,
	"203.0.113.0/24":  private,
	"fc00::/7":        private, // RFC 4193

	// Metadata services inside of ranges that can be opened, or public ones.
	"100.100.100.200/32":     never, // Alibaba
	"168.63.129.16/32":       never, // Azure
	"fd00:ec2::/32":          never, // AWS
	"fd20:ce::254/128":       never, // Google
	"fd00:c1::a9fe:a9fe/128": never, // Oracle

	"0.0.0.0/8":      never, // this network
	"169.254.0.0/16": never, // link-local, and most metadata services
	"192.0.0.0/24":   never, // IETF protocol assignments
	"192.88.99.0/24": never, // 6to4 relays
	"198.18.0.0/15":  never, // benchmarking, and the bottle's synthetic addresses
	"224.0.0.0/4":    never, // multicast
	"240.0.0.0/4":    never, // reserved, and broadcast
	"2001::/23":      never, // IETF protocol assignments, Teredo
	"2001:db8::/32":  never, // documentation
	"2002::/16":      never, // 6to4
	"3fff::/20":      never, // documentation
}

// rangeKey is struct range of src/ranges.h.
type rangeKey struct {
	Bits    uint32
	Address [4]uint32
}

func keyOf(p netip.Prefix) rangeKey { return rangeKey{uint32(bitsOf(p)), words(p.Addr())} }

// bitsOf is how long a prefix is in the form in which the programs see addresses.
func bitsOf(p netip.Prefix) int {
	if p.Addr().Is4() {
		return p.Bits() + 96
	}
	return p.Bits()
}
