package bottle

import (
	"fmt"
	"slices"

	"bottled/proposal"
	"bottled/routes"
)

// grant adds to a manifest what an operator approved. A path on a host that has a
// route already becomes a route beside it, with the same credential, ports and
// private ranges: that is what [Pending.Note] tells the operator beforehand.
func grant(m *routes.Manifest, p proposal.Proposal) error {
	if r, ok := p.Route(); ok {
		return grantRoute(m, r)
	}
	if e, ok := p.Exemption(); ok {
		return grantExemption(m, e)
	}
	return fmt.Errorf("%w: %s cannot be granted to a bottle that runs: launch it again with a manifest that says so", ErrConflict, p.Kind())
}

func grantRoute(m *routes.Manifest, r proposal.Route) error {
	if by, ok, err := barePass(m, r.Host); err != nil {
		return err
	} else if ok {
		// A route of its own would take that one's place and deny all else of the host.
		return fmt.Errorf("%w: %s is allowed already, every path of it, by the route to %s", ErrConflict, r.Host, by)
	}
	made := routes.ManifestRoute{Route: *r.Granted()}
	if beside, ok := routeFor(m, r.Host); ok {
		made.Ports, made.AllowPrivate, made.DLP = beside.Ports, beside.AllowPrivate, beside.DLP
		made.Auth, made.TokenRef = beside.Auth, beside.TokenRef
	}
	m.Routes = append(m.Routes, made)
	return nil
}

// barePass returns the route of the effective table that passes every request to a
// host, if there is one.
func barePass(m *routes.Manifest, host routes.Pattern) (routes.Pattern, bool, error) {
	effective, err := m.Effective()
	if err != nil {
		return routes.Pattern{}, false, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	for _, r := range effective.Routes {
		exact, isExact := host.Host()
		if r.Protocol == routes.HTTP && r.AnyPath && r.Methods == nil && (r.Host == host || isExact && r.Host.Matches(exact)) {
			return r.Host, true, nil
		}
	}
	return routes.Pattern{}, false, nil
}

// grantExemption exempts a rule on the routes of a host.
func grantExemption(m *routes.Manifest, e proposal.Exemption) error {
	if e.Fingerprint != "" {
		return fmt.Errorf("%w: one match alone cannot be exempted yet, only the rule %q: deny this, and let the agent ask for the rule", ErrConflict, e.Rule)
	}
	found := false
	for i := range m.Routes {
		r := &m.Routes[i]
		if r.Host != e.Host || r.Protocol != routes.HTTP {
			continue
		}
		r.DLP, found = exempting(r.DLP, e.Rule), true
	}
	if found {
		return nil
	}
	if !slices.Contains(m.Allowlist, e.Host) {
		return fmt.Errorf("%w: no route of the manifest is for %s, so there is nothing to exempt", ErrConflict, e.Host)
	}
	m.Routes = append(m.Routes, routes.ManifestRoute{Route: routes.Route{
		Host: e.Host, Protocol: routes.HTTP, AnyPath: true, DLP: exempting(nil, e.Rule),
	}})
	return nil
}

// exempting returns d with one more exempt rule; d itself may be the manifest's.
func exempting(d *routes.DLP, rule string) *routes.DLP {
	more := routes.DLP{}
	if d != nil {
		more = *d
	}
	if !slices.Contains(more.Exempt, rule) {
		more.Exempt = append(slices.Clone(more.Exempt), rule)
	}
	return &more
}

// routeFor is the first route of the manifest for exactly that host.
func routeFor(m *routes.Manifest, host routes.Pattern) (routes.ManifestRoute, bool) {
	i := slices.IndexFunc(m.Routes, func(r routes.ManifestRoute) bool {
		return r.Host == host && r.Protocol == routes.HTTP
	})
	if i < 0 {
		return routes.ManifestRoute{}, false
	}
	return m.Routes[i], true
}
