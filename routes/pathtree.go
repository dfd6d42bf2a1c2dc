package routes

import (
	"fmt"
	"slices"
	"strings"
)

// A pathTree holds the path lists of all routes of one host and port, by
// segment, and finds the most specific entry for a path in one walk.
//
// More specific is, segment by segment from the left: a literal before a
// segment with *, more literal characters before fewer, and something before
// nothing. A route without a path list is the least specific.
type pathTree struct {
	literal map[string]*pathTree // by the bytes on the wire, and by what they decode to
	globs   []globTree           // most specific first
	below   *methodSet           // entries that end in a slash here
	here    *methodSet           // entries that end here
}

type globTree struct {
	text         string
	raw, decoded []string // the literal pieces between the stars
	tree         *pathTree
}

// A methodSet is what the routes with one and the same path entry allow.
type methodSet struct{ routes []*Route }

// add refuses a route that some request would be meant for as much as for one
// that is there.
func (m *methodSet) add(r *Route) (clash *Route) {
	for _, other := range m.routes {
		if methodsOverlap(r, other) {
			return other
		}
	}
	m.routes = append(m.routes, r)
	return nil
}

func (m *methodSet) pick(method string) *Route {
	for _, r := range m.routes {
		if r.allowsMethod(method) {
			return r
		}
	}
	return nil
}

// add files r under one entry and returns a route that already has it.
func (t *pathTree) add(p PathPattern, r *Route) (clash *Route) {
	for _, segment := range p.segments {
		t = t.child(segment)
	}
	slot := &t.here
	if p.below {
		slot = &t.below
	}
	if *slot == nil {
		*slot = new(methodSet)
	}
	return (*slot).add(r)
}

func (t *pathTree) child(segment string) *pathTree {
	if strings.Contains(segment, "*") {
		return t.globChild(segment)
	}
	if next := t.literal[segment]; next != nil {
		return next
	}
	if t.literal == nil {
		t.literal = make(map[string]*pathTree)
	}
	next := new(pathTree)
	t.literal[segment] = next
	// Entries are canonical (checkCanonical): the second key is no other entry's first.
	t.literal[decodePath(segment)] = next
	return next
}

func (t *pathTree) globChild(segment string) *pathTree {
	at, found := slices.BinarySearchFunc(t.globs, segment, func(g globTree, s string) int {
		return compareGlobs(g.text, s)
	})
	if !found {
		g := globTree{text: segment, tree: new(pathTree)}
		g.raw = strings.Split(segment, "*")
		for _, piece := range g.raw {
			g.decoded = append(g.decoded, decodePath(piece))
		}
		t.globs = slices.Insert(t.globs, at, g)
	}
	return t.globs[at].tree
}

// compareGlobs orders the more specific segment first.
func compareGlobs(a, b string) int {
	literals := func(s string) int { return len(s) - strings.Count(s, "*") }
	if d := literals(b) - literals(a); d != 0 {
		return d
	}
	return strings.Compare(a, b)
}

// find returns the most specific entry for path, which begins with a slash, or
// nil.
func (t *pathTree) find(path string) *methodSet {
	return t.walk(path[1:], true)
}

// walk finds the entry for what is left of a path. more is false when the path
// ended with the segment before.
func (t *pathTree) walk(rest string, more bool) *methodSet {
	if !more {
		return t.here
	}
	segment, tail, deeper := strings.Cut(rest, "/")
	if segment != "" {
		if next := t.literal[segment]; next != nil {
			if m := next.walk(tail, deeper); m != nil {
				return m
			}
		}
		for i := range t.globs {
			if g := &t.globs[i]; g.matches(segment) {
				if m := g.tree.walk(tail, deeper); m != nil {
					return m
				}
			}
		}
	}
	if t.below != nil {
		return t.below
	}
	return t.here
}

func (g *globTree) matches(segment string) bool {
	return matchPieces(g.raw, segment) || matchPieces(g.decoded, segment)
}

// matchPieces reports whether s is the pieces in order with anything between
// them. Taking the leftmost place for each piece is enough, since the last one
// is anchored at the end.
func matchPieces(pieces []string, s string) bool {
	first, last := pieces[0], pieces[len(pieces)-1]
	if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, piece := range pieces[1 : len(pieces)-1] {
		i := strings.Index(s, piece)
		if i < 0 {
			return false
		}
		s = s[i+len(piece):]
	}
	return true
}

// addRoute files r under all of its entries.
func (t *pathTree) addRoute(r *Route) error {
	if r.AnyPath {
		if t.here == nil {
			t.here = new(methodSet)
		}
		if t.here.add(r) != nil {
			return fmt.Errorf("host %s has two routes without a path list for the same methods and ports: remove one, or tell them apart by path_allowlist, methods or ports", r.Host)
		}
		return nil
	}
	for i, p := range r.Paths {
		if p.segments == nil && !p.below {
			return fmt.Errorf("host %s has an empty path entry", r.Host)
		}
		switch clash := t.add(p, r); clash {
		case nil:
		case r:
			return fmt.Errorf("path_allowlist[%d] %q is listed twice: remove one", i, p)
		default:
			return fmt.Errorf("host %s has two routes for the path %q and the same methods and ports: remove one, or tell them apart by methods or ports", r.Host, p)
		}
	}
	return nil
}
