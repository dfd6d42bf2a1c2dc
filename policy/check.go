package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"bottled/routes"
)

// errNoPolicy is the refusal of the zero Policy.
var errNoPolicy = errors.New("there is no policy, so nothing is allowed")

// Check says whether the subject may have a bottle with this manifest, of which e is
// the effective table. Its error names every rule that stands against it, a line
// each, and what to do.
//
// It looks at the whole table, the default hosts included: what is judged is what
// would be enforced.
func (p *Policy) Check(s Subject, m *routes.Manifest, e *routes.Effective) error {
	if p == nil || m == nil || e == nil {
		return errNoPolicy
	}
	if !p.launch.has(s) {
		return fmt.Errorf("%s does not list uid %d or a group of it: ask the operator of this host", p.launchRule(), s.UID)
	}
	c := &check{p: p, s: s}
	for _, r := range e.Routes {
		c.route(r)
	}
	c.manifest(m)
	c.held(m, e)
	return c.err()
}

func (p *Policy) launchRule() string {
	if p.launchAt == (place{}) {
		return "the policy of this host"
	}
	return p.launchAt.String()
}

// check collects what stands against one table.
type check struct {
	p        *Policy
	s        Subject
	refusals []string
}

func (c *check) refuse(rule fmt.Stringer, format string, args ...any) {
	c.refusals = append(c.refusals, rule.String()+": "+fmt.Sprintf(format, args...))
}

// err is the first ten refusals.
func (c *check) err() error {
	const most = 10
	if len(c.refusals) == 0 {
		return nil
	}
	lines := c.refusals
	if len(lines) > most {
		lines = append(slices.Clone(lines[:most]), fmt.Sprintf("... and %d more", len(c.refusals)-most))
	}
	return errors.New(strings.Join(lines, "\n"))
}

// leave refuses what the subject would need leave for.
func (c *check) leave(w who, key, format string, args ...any) {
	if !w.has(c.s) {
		c.refuse(c.p.may.place(key), format, args...)
	}
}

func (c *check) route(r *routes.Route) {
	may := &c.p.may
	if f, ok := c.forbids(r.Host); ok {
		c.refuse(f.place, "%s may never be allowed, and the route to %s would reach it: %s", f, r.Host, remedy(r.Host))
	}
	if _, ok := r.Host.Base().Addr(); ok {
		c.leave(may.addresses, "addresses", "you may not have a route to an address, such as %s: name the host", r.Host)
	}
	if len(r.AllowPrivate) > 0 {
		c.leave(may.allowPrivate, "allow_private", "you may not use allow_private, as the route to %s does: remove it", r.Host)
	}
	for _, opened := range r.AllowPrivate {
		for _, f := range c.p.never {
			if f.opened(opened) {
				c.refuse(f.place, "%s may never be allowed, and allow_private %s of the route to %s would open it: write a narrower range", f, opened, r.Host)
			}
		}
	}
	if key := r.DLP.Weaker(); key != "" {
		c.leave(may.dlp, "dlp", "you may not weaken the scanner, as dlp.%s of the route to %s does: remove it", key, r.Host)
	}
	switch r.Protocol {
	case routes.HTTP:
	case routes.TCP:
		c.leave(may.tcp, "tcp", "you may not use protocol: tcp, as the route to %s does: use protocol: http", r.Host)
	case routes.TLSPassthrough:
		c.leave(may.tlsPassthrough, "tls_passthrough", "you may not use protocol: tls-passthrough, as the route to %s does: use protocol: http", r.Host)
	default:
		c.refuse(may.place("protocol"), "the route to %s has a protocol that no rule knows", r.Host)
	}
}

// forbids returns the first entry that the pattern would reach.
func (c *check) forbids(p routes.Pattern) (forbidden, bool) {
	i := slices.IndexFunc(c.p.never, func(f forbidden) bool { return f.reached(p) })
	if i < 0 {
		return forbidden{}, false
	}
	return c.p.never[i], true
}

func remedy(p routes.Pattern) string {
	switch {
	case p.Wildcard():
		return "name the hosts that are needed"
	case slices.Contains(routes.DefaultAllowlist(), p.String()):
		return "it is one of the default hosts, so write defaults: false and list the others that are needed"
	}
	return "remove the route"
}

func (c *check) manifest(m *routes.Manifest) {
	may := &c.p.may
	if !m.UpstreamCA.IsZero() {
		c.leave(may.upstreamCA, "upstream_ca", "you may not use upstream_ca: remove it")
	}
	if key := m.DLP.Weaker(); key != "" {
		c.leave(may.dlp, "dlp", "you may not weaken the scanner, as dlp.%s does: remove it", key)
	}
	if m.Bottle.UserNamespaces {
		c.leave(may.userNamespaces, "user_namespaces", "you may not use user_namespaces: remove it")
	}
	if _, over := m.Bottle.Limits.Within(c.p.limits.bottle); over != "" {
		c.refuse(c.p.limits.bottleAt, "bottle.limits.%s is more than a bottle may use on this host: lower it, or remove it", over)
	}
	if m.UpstreamProxy != nil {
		c.chain(m.UpstreamProxy)
	}
}

// held checks the tokens that the operator holds. Beside where they go, it matters
// who reads them on the way: whoever brings a certificate authority or a proxy of
// their own could, and that is the caller.
func (c *check) held(m *routes.Manifest, e *routes.Effective) {
	for _, slot := range e.Slots {
		if slot.Ref.Kind == routes.TokenEnv {
			continue
		}
		t, ok := c.p.tokens[slot.Ref.String()]
		if !ok || !t.access.Allows(c.s.UID, c.s.Groups) {
			// One answer, so that nobody learns what the operator holds.
			c.refusals = append(c.refusals, fmt.Sprintf("token_ref %q is not one that uid %d may use: ask the operator of this host to list it under tokens, with you", slot.Ref, c.s.UID))
			continue
		}
		for _, r := range e.Routes {
			if r.Auth != nil && r.Auth.Slot == slot.Name && !t.sends(r) {
				c.refuse(t.place, "token_ref %q may go to %s alone, and the route to %s would send it elsewhere: remove the auth block", slot.Ref, list(t.hosts), target(r))
			}
		}
		if slot.Name == routes.ProxySlot {
			if !t.shown(m.UpstreamProxy) {
				c.refuse(t.place, "token_ref %q may go to %s alone, over TLS that this host's own authorities vouch for, and upstream_proxy would show it to %s: remove upstream_proxy.auth", slot.Ref, list(t.hosts), m.UpstreamProxy)
			}
			continue
		}
		if !m.UpstreamCA.IsZero() || m.UpstreamProxy != nil {
			c.refuse(t.place, "token_ref %q goes only over connections that this host's own authorities vouch for: remove upstream_ca and upstream_proxy", slot.Ref)
		}
	}
}

func list(hosts []endpoint) string {
	names := make([]string, len(hosts))
	for i, h := range hosts {
		names[i] = h.String()
	}
	return strings.Join(names, ", ")
}

func target(r *routes.Route) string {
	if r.Ports == nil {
		return r.Host.String()
	}
	return fmt.Sprintf("%s, ports %v", r.Host, r.Ports)
}
