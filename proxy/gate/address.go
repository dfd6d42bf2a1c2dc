package gate

import (
	"fmt"
	"net/netip"
)

// Refuse says why addr may not be dialled, or nil. allow lists prefixes that the
// route opens; it opens private ranges and the host's own addresses (self), and
// never a metadata service, link-local, multicast or synthetic address. An
// IPv4-mapped address is judged as the IPv4 address it stands for, a NAT64
// address by the IPv4 address inside; allow does not reach through NAT64.
func Refuse(addr netip.Addr, allow []netip.Prefix, self []netip.Addr) error {
	if !addr.IsValid() {
		return fmt.Errorf("no address")
	}
	if addr.Zone() != "" {
		return fmt.Errorf("%s has a zone, so it is local to a link", addr)
	}
	addr = addr.Unmap()
	opened := false
	for _, p := range allow {
		opened = opened || p.Contains(addr)
	}
	for _, own := range self {
		if own.Unmap().WithZone("") == addr && !opened {
			return fmt.Errorf("%s is an address of this host", addr)
		}
	}
	for _, r := range ranges {
		if !r.prefix.Contains(addr) {
			continue
		}
		if r.class == private && opened {
			return nil
		}
		if r.class == private {
			return fmt.Errorf("%s is in %s, %s; a route reaches it only with allow_private", addr, r.prefix, r.what)
		}
		return fmt.Errorf("%s is in %s, %s", addr, r.prefix, r.what)
	}
	if addr.Is4() {
		return nil
	}
	if nat64.Contains(addr) {
		b := addr.As16()
		inner := netip.AddrFrom4([4]byte(b[12:]))
		if err := Refuse(inner, nil, self); err != nil {
			return fmt.Errorf("%s is NAT64 for %w", addr, err)
		}
		return nil
	}
	if !globalUnicast.Contains(addr) {
		return fmt.Errorf("%s is not a global unicast address (RFC 4291)", addr)
	}
	return nil
}
