package routes

import (
	"fmt"
	"slices"
	"strings"
)

// MaxRoutes is the largest table. One that is over it is refused, not cut.
const MaxRoutes = 200_000

// A Table is an immutable set of routes that decides requests. It is safe for
// concurrent use. The nil and the zero Table deny everything.
//
// A host is looked up by name; a host without a route of its own is looked up by
// the names above it, nearest first, among the wildcards. The first pattern
// found decides alone: api.example.com with a path list is not widened by
// *.example.com without one. Within it, the port and then the most specific path
// entry select the route, in whatever order the routes were written.
type Table struct {
	generation uint64
	routes     []*Route
	exact      map[Host]*site
	wild       map[Host]*site // by what follows "*."
}

// A site is what the routes of one pattern say together.
type site struct {
	pattern  Pattern
	services map[uint16]*service
}

// A service is one port of a site.
type service struct {
	protocol Protocol
	first    *Route // stands for all in a decision that is not about one
	paths    pathTree
	strict   bool // some route has a path list, so every path has to be unambiguous
}

// NewTable checks the routes and indexes them. generation is returned with every
// decision. The routes are kept, not copied, and must not be changed afterwards.
//
// Two routes that one request could be meant for equally (same host, port,
// protocol, path entry and method) are an error, as are two protocols on one port.
func NewTable(list []*Route, generation uint64) (*Table, error) {
	if len(list) > MaxRoutes {
		return nil, fmt.Errorf("the table has %d routes: the limit is %d", len(list), MaxRoutes)
	}
	t := newTable(generation, len(list))
	for i, r := range list {
		if err := t.add(r); err != nil {
			return nil, fmt.Errorf("route %d: %w", i, err)
		}
	}
	return t, nil
}

func newTable(generation uint64, size int) *Table {
	return &Table{
		generation: generation,
		routes:     make([]*Route, 0, size),
		exact:      make(map[Host]*site, size),
		wild:       make(map[Host]*site),
	}
}

func (t *Table) add(r *Route) error {
	if r == nil {
		return fmt.Errorf("the route is nil")
	}
	if err := r.check(); err != nil {
		return err
	}
	index := t.exact
	if r.Host.wildcard {
		index = t.wild
	}
	s := index[r.Host.host]
	if s == nil {
		s = &site{pattern: r.Host, services: make(map[uint16]*service)}
		index[r.Host.host] = s
	}
	for _, port := range r.Endpoints() {
		svc := s.services[port]
		if svc == nil {
			svc = &service{protocol: r.Protocol, first: r}
			s.services[port] = svc
		}
		if svc.protocol != r.Protocol {
			return fmt.Errorf("host %s has port %d as %s and as %s: a port has one protocol", r.Host, port, svc.protocol, r.Protocol)
		}
		svc.strict = svc.strict || !r.AnyPath
		if err := svc.paths.addRoute(r); err != nil {
			return err
		}
	}
	t.routes = append(t.routes, r)
	return nil
}

// site finds the one pattern that decides about h, or nil.
func (t *Table) site(h Host) *site {
	if t == nil || h.IsZero() {
		return nil
	}
	if s := t.exact[h]; s != nil {
		return s
	}
	if len(t.wild) == 0 {
		return nil
	}
	for rest := h.name; ; {
		_, above, ok := strings.Cut(rest, ".")
		if !ok {
			return nil
		}
		if s := t.wild[Host{name: above}]; s != nil {
			if !s.pattern.reaches(h) {
				return nil
			}
			return s
		}
		rest = above
	}
}

// ports returns the ports of the site in ascending order.
func (s *site) ports() []uint16 {
	list := make([]uint16, 0, len(s.services))
	for port := range s.services {
		list = append(list, port)
	}
	slices.Sort(list)
	return list
}

// Routes returns the routes in the order in which they were given. Neither the
// slice nor the routes may be changed.
func (t *Table) Routes() []*Route {
	if t == nil {
		return nil
	}
	return t.routes
}

// Hosts returns the host patterns of the table without repetition, in the order
// of their first route: what a second gate may copy.
func (t *Table) Hosts() []Pattern {
	if t == nil {
		return nil
	}
	seen := make(map[Pattern]bool, len(t.routes))
	var list []Pattern
	for _, r := range t.routes {
		if !seen[r.Host] {
			seen[r.Host] = true
			list = append(list, r.Host)
		}
	}
	return list
}

// Generation returns the number that the table was made with; 0 for nil.
func (t *Table) Generation() uint64 {
	if t == nil {
		return 0
	}
	return t.generation
}
