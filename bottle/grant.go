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
	if other, ok := routeFor(m, r.Host); ok {
		made.Ports, made.AllowPrivate, made.DLP = other.Ports, other.AllowPrivate, beside(other.DLP)
		made.Auth, made.TokenRef = other.Auth, other.TokenRef
	}
	made.Sealed = slices.ContainsFunc(m.Routes, func(other routes.ManifestRoute) bool { return seals(&other.Route, &made.Route) })
	m.Routes = append(m.Routes, made)
	return nil
}

// seals reports whether r would take paths out of a sealed route, where a nearer path
// decides: what is granted there is sealed as well.
func seals(sealed, r *routes.Route) bool {
	return sealed.Sealed && sealed.Host == r.Host && (sealed.AnyPath || slices.ContainsFunc(r.Paths, func(p routes.PathPattern) bool {
		return slices.ContainsFunc(sealed.Paths, func(q routes.PathPattern) bool { return q.Covers(p) })
	}))
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

// grantExemption exempts a rule on all routes of a host, or one match on one route.
func grantExemption(m *routes.Manifest, e proposal.Exemption) error {
	found := false
	for i := range m.Routes {
		r := &m.Routes[i]
		if r.Host != e.Host || r.Protocol != routes.HTTP || e.Fingerprint != "" && !e.On(&r.Route) {
			continue
		}
		r.DLP, found = exempting(r.DLP, e), true
	}
	if found {
		return nil
	}
	// It may pass whole, and so have a route in the effective table only. All of those
	// become routes of the manifest then, so that none takes another one's place.
	effective, err := m.Effective()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	var bare []routes.ManifestRoute
	for _, r := range effective.Routes[len(effective.Own):] {
		made := routes.ManifestRoute{Route: *r}
		if r.Host == e.Host && (e.Fingerprint == "" || e.On(r)) {
			made.DLP, found = exempting(nil, e), true
		}
		bare = append(bare, made)
	}
	if found {
		m.Routes = append(m.Routes, bare...)
		return nil
	}
	return fmt.Errorf("%w: the table has no such route to %s, so there is nothing to exempt", ErrConflict, e.Host)
}

// exempting returns d with one more exemption; d itself may be the manifest's.
func exempting(d *routes.DLP, e proposal.Exemption) *routes.DLP {
	more := routes.DLP{}
	if d != nil {
		more = *d
	}
	one := routes.Exemption{Rule: e.Rule, Fingerprint: e.Fingerprint}
	if !slices.Contains(more.Exempt, one) {
		more.Exempt = append(slices.Clone(more.Exempt), one)
	}
	return &more
}

// beside is how a new route is scanned beside another of its host: alike, but a
// match that was exempted there is not exempt here.
func beside(d *routes.DLP) *routes.DLP {
	if d == nil {
		return nil
	}
	more := *d
	more.Exempt = slices.DeleteFunc(slices.Clone(d.Exempt), func(e routes.Exemption) bool { return e.Fingerprint != "" })
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
