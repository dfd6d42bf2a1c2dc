package routes

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// A Pattern is the host of a route: one host, or all subdomains of one name.
//
// Patterns are comparable with ==. The zero Pattern matches nothing.
type Pattern struct {
	host     Host // for a wildcard, what follows "*."
	wildcard bool
}

// ParsePattern parses the host of a route as a person writes it: what
// [ParseHost] takes if it is fully qualified, or "*." and a name.
//
// Refused are names that are reserved for the enforcer, a wildcard over a public
// suffix (https://publicsuffix.org, private part included: whoever registers a
// name there would be let in), and a wildcard anywhere but as the first label.
func ParsePattern(s string) (Pattern, error) {
	base, wildcard := strings.CutPrefix(s, "*.")
	if s == "*" {
		return Pattern{}, errors.New(`"*" would allow every host: name the hosts`)
	}
	if wildcard && base == "" {
		return Pattern{}, fmt.Errorf("%q has nothing after the wildcard: write a name as in *.example.com", s)
	}
	// Before ParseHost, which does not take the underscore of the magic host.
	if why := reserved(strings.TrimSuffix(asciiLower(base), "."), wildcard); why != "" {
		return Pattern{}, fmt.Errorf("%q is a reserved name: %s", clip(s), why)
	}
	if strings.Contains(base, "*") {
		return Pattern{}, fmt.Errorf("%q: a wildcard may only be the whole first label, as in *.example.com", clip(s))
	}
	h, err := ParseHost(base)
	if err != nil {
		return Pattern{}, err
	}
	if _, ok := h.Addr(); ok {
		if wildcard {
			return Pattern{}, fmt.Errorf("%q: an IP address has no subdomains", s)
		}
		return Pattern{host: h}, nil
	}
	if why := reserved(h.name, wildcard); why != "" {
		return Pattern{}, fmt.Errorf("%q is a reserved name: %s", s, why)
	}
	if !wildcard && !h.qualified() {
		return Pattern{}, fmt.Errorf("%q has no dot: write the full name, since a search list could make it mean another host", s)
	}
	if wildcard && isPublicSuffix(h.name) {
		return Pattern{}, fmt.Errorf("%q is a wildcard over a public suffix, where anybody can register a name: name the hosts, or a wildcard one label deeper", s)
	}
	return Pattern{host: h, wildcard: wildcard}, nil
}

// Exact returns the pattern that matches h alone.
func Exact(h Host) Pattern { return Pattern{host: h} }

// Matches reports whether h is the pattern's host or, for a wildcard, a name
// below it at any depth, never the apex itself.
//
// A wildcard does not reach into a public suffix below it: *.amazonaws.com
// matches sts.amazonaws.com, and not evil.s3.amazonaws.com, which anybody can
// register.
func (p Pattern) Matches(h Host) bool {
	if p.host.IsZero() || h.IsZero() {
		return false
	}
	if !p.wildcard {
		return p.host == h
	}
	return strings.HasSuffix(h.name, "."+p.host.name) && p.reaches(h)
}

// reaches reports whether no public suffix lies between the wildcard's base and
// h, which is below it.
func (p Pattern) reaches(h Host) bool {
	suffix, _ := publicsuffix.PublicSuffix(h.name)
	return len(suffix) <= len(p.host.name)
}

// String returns the canonical spelling, which [ParsePattern] takes back.
func (p Pattern) String() string {
	if p.wildcard {
		return "*." + p.host.name
	}
	return p.host.String()
}

// IsZero reports whether p matches nothing.
func (p Pattern) IsZero() bool { return p.host.IsZero() }

// Wildcard reports whether p stands for subdomains.
func (p Pattern) Wildcard() bool { return p.wildcard }

// Host returns the host of an exact pattern. It is false for a wildcard.
func (p Pattern) Host() (Host, bool) { return p.host, !p.wildcard && !p.host.IsZero() }

// Base returns the host of an exact pattern, or what follows "*." of a wildcard.
func (p Pattern) Base() Host { return p.host }

func isPublicSuffix(name string) bool {
	suffix, _ := publicsuffix.PublicSuffix(name)
	return suffix == name
}
