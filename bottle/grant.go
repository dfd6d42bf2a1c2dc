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
		grantRoute(m, r)
		return nil
	}
	if e, ok := p.Exemption(); ok {
		return grantExemption(m, e)
	}
	return fmt.Errorf("%w: %s cannot be granted to a bottle that runs: launch it again with a manifest that says so", ErrConflict, p.Kind())
}

func grantRoute(m *routes.Manifest, r proposal.Route) {
	made := routes.ManifestRoute{Route: routes.Route{
		Host: r.Host, Protocol: routes.HTTP, AnyPath: len(r.Paths) == 0, Paths: r.Paths,
	}}
	if len(r.Methods) > 0 {
		made.Methods = r.Methods
	}
	if beside, ok := routeFor(m, r.Host); ok {
		made.Ports, made.AllowPrivate, made.DLP = beside.Ports, beside.AllowPrivate, beside.DLP
		made.Auth, made.TokenRef = beside.Auth, beside.TokenRef
	}
	// The allowlist passes every path of a host: a route of its own replaces that.
	m.Routes = append(m.Routes, made)
}

// grantExemption exempts a rule on the routes of a host.
func grantExemption(m *routes.Manifest, e proposal.Exemption) error {
	found := false
	for i := range m.Routes {
		r := &m.Routes[i]
		if r.Host != e.Host || r.Protocol != routes.HTTP {
			continue
		}
		exempt := routes.DLP{}
		if r.DLP != nil {
			exempt = *r.DLP
		}
		if !slices.Contains(exempt.Exempt, e.Rule) {
			exempt.Exempt = append(slices.Clone(exempt.Exempt), e.Rule)
		}
		r.DLP, found = &exempt, true
	}
	if found {
		return nil
	}
	if !slices.Contains(m.Allowlist, e.Host) {
		return fmt.Errorf("%w: no route of the manifest is for %s, so there is nothing to exempt", ErrConflict, e.Host)
	}
	m.Routes = append(m.Routes, routes.ManifestRoute{Route: routes.Route{
		Host: e.Host, Protocol: routes.HTTP, AnyPath: true, DLP: &routes.DLP{Exempt: []string{e.Rule}},
	}})
	return nil
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
