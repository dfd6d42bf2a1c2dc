package policy

import (
	"slices"

	"bottled/routes"
	"bottled/strict"
)

// A class is routes that may be added without asking a person.
type class struct {
	hosts   []routes.Pattern
	methods []string
	whom    who
	place   place
}

// readOnly are the methods of a class that names none.
var readOnly = []string{"GET", "HEAD"}

func classes(r *strict.Reader, n *strict.Node, file string) []class {
	var list []class
	for i, item := range r.List(n, "approve") {
		key := strict.Index("approve", i)
		v := r.Object(item, key, "hosts", "methods", "users", "groups")
		c := class{
			hosts:   strict.ParsedList(r, v["hosts"], key+".hosts", routes.ParsePattern),
			methods: strict.ParsedList(r, v["methods"], key+".methods", routes.ParseMethod),
			whom:    who{listed: named(r, item, v, key)},
			place:   place{file, item.Line, key},
		}
		if strict.Missing(item, v, "hosts") || v["hosts"] != nil && len(c.hosts) == 0 {
			r.Fail(item, key, `there are no hosts: add hosts: [NAME, "*.NAME"]`)
		}
		if v["methods"] == nil {
			c.methods = readOnly
		}
		list = append(list, c)
	}
	return list
}

// Preapproved reports whether the subject's bottles may add a route without asking
// a person, and by which rule of the file. The route has no credential, opens no
// private address and speaks HTTP on the usual ports; methods is its complete
// list, and nil, which means nearly all, is never preapproved.
//
// It is pure. Whoever adds the route asks [Policy.Check] as well: an approval does
// not lift the floor.
func (p *Policy) Preapproved(s Subject, host routes.Pattern, methods []string) (rule string, ok bool) {
	if p == nil || len(methods) == 0 || host.IsZero() {
		return "", false
	}
	for _, c := range p.classes {
		if c.whom.has(s) && c.covers(host, methods) {
			return c.place.String(), true
		}
	}
	return "", false
}

func (c class) covers(host routes.Pattern, methods []string) bool {
	for _, m := range methods {
		if !slices.Contains(c.methods, m) {
			return false
		}
	}
	return slices.ContainsFunc(c.hosts, func(h routes.Pattern) bool {
		// A wildcard below a wildcard: what it matches, the wider one does too, since
		// neither reaches past a public suffix below its own base.
		return h == host || h.Wildcard() && h.Matches(host.Base())
	})
}
