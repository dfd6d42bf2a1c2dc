package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"bottled/routes"
	"bottled/strict"
)

// A forbidden entry is a host that no table may reach, all names below one, or a
// range of addresses. It is no [routes.Pattern]: a pattern that allows stops at a
// public suffix, where anybody can register; one that forbids must not.
type forbidden struct {
	host   routes.Host  // exact; with below, what follows "*."
	below  bool         // the names below host, at any depth
	prefix netip.Prefix // valid: addresses, and host is zero
	place  place
}

func parseForbidden(s string) (forbidden, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		if p != p.Masked() {
			return forbidden{}, fmt.Errorf("%q has bits set beyond its length: write %s", strict.Clip(s), p.Masked())
		}
		if p.Addr().Is4In6() {
			return forbidden{}, fmt.Errorf("%q is an IPv4 range in IPv6 form: write it as IPv4", strict.Clip(s))
		}
		return forbidden{prefix: p}, nil
	}
	base, below := strings.CutPrefix(s, "*.")
	if s == "*" {
		return forbidden{}, errors.New(`"*" would forbid every host: to let nobody launch, write launch: {users: [root]}`)
	}
	h, err := routes.ParseHost(base)
	if err != nil {
		return forbidden{}, err
	}
	if addr, ok := h.Addr(); ok {
		if below {
			return forbidden{}, fmt.Errorf("%q: an IP address has no subdomains", strict.Clip(s))
		}
		return forbidden{prefix: netip.PrefixFrom(addr, addr.BitLen())}, nil
	}
	return forbidden{host: h, below: below}, nil
}

// String returns the entry as [parseForbidden] takes it.
func (f forbidden) String() string {
	switch {
	case f.prefix.IsSingleIP():
		return f.prefix.Addr().String()
	case f.prefix.IsValid():
		return f.prefix.String()
	case f.below:
		return "*." + f.host.String()
	}
	return f.host.String()
}

// reached reports whether a pattern lets through a host that f forbids.
func (f forbidden) reached(p routes.Pattern) bool {
	if addr, ok := p.Base().Addr(); ok {
		return f.prefix.IsValid() && f.prefix.Contains(addr)
	}
	if f.prefix.IsValid() {
		return false // where a name leads is judged when it is dialled; see opened
	}
	if f.below && under(p.Base(), f.host) {
		return true // all that p matches is below f
	}
	// What p matches of f's own names: an exact p is below f or equal to it, and a
	// wildcard that lets f.host in lets in what is below it too.
	if p.Wildcard() {
		return p.Matches(f.host) || f.below && p.Base() == f.host
	}
	return !f.below && p.Base() == f.host
}

// opened reports whether a range that allow_private opens holds an address that f
// forbids.
func (f forbidden) opened(p netip.Prefix) bool { return f.prefix.IsValid() && f.prefix.Overlaps(p) }

// under reports whether h is a name below base.
func under(h, base routes.Host) bool { return strings.HasSuffix(h.String(), "."+base.String()) }
