package suggest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"bottled/audit"
	"bottled/routes"
)

// head begins a manifest that allows what its routes name, and no default host.
const head = "version: 1\ndefaults: false\negress_proxy:\n  routes:\n"

// Manifest returns the suggestion as a manifest with comments. It fails where the
// result does not allow each request that it was made for, which would be a mistake
// of this package.
func (s *Suggestion) Manifest() ([]byte, error) {
	var b strings.Builder
	if s.empty() {
		b.WriteString("# Nothing was refused that a route could allow.\nversion: 1\ndefaults: false\n")
	} else {
		b.WriteString("# What would have allowed what was refused. Read it before you use it: a bottle can\n" +
			"# ask for any host. Merge it into your manifest; where a host has a route there already,\n" +
			"# add the paths and methods to that one.\n" + head)
	}
	for _, r := range slices.SortedFunc(maps.Values(s.routes), func(x, y *route) int { return cmp.Compare(x.host.String(), y.host.String()) }) {
		b.WriteString(r.text())
	}
	if len(s.not) > 0 || s.over > 0 {
		b.WriteString("# Refused, and not to be allowed by a route like these:\n")
	}
	for _, what := range slices.Sorted(maps.Keys(s.not)) {
		fmt.Fprintf(&b, "#   %s: %s\n", audit.Visible(what), s.not[what])
	}
	if s.over > 0 {
		fmt.Fprintf(&b, "#   and %d more that were not looked at: there are too many different ones\n", s.over)
	}
	text := []byte(b.String())
	t, err := table(text)
	if err != nil {
		return nil, fmt.Errorf("suggest: the result does not parse: %w", err)
	}
	for _, w := range s.wants {
		if d := t.Decide(w.query); !d.Allowed() {
			return nil, fmt.Errorf("suggest: the result does not allow %s %s%s: %s", w.method, w.query.Authority, w.query.Target, routes.Explain(t, w.query))
		}
	}
	return text, nil
}

// text is the route in YAML; every string is quoted, because a peer chose it.
func (r *route) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "    - host: %s\n", strconv.Quote(r.host.String()))
	ports := slices.Sorted(maps.Keys(r.ports))
	if !slices.Equal(ports, []uint16{80, 443}) { // which is what no list means
		fmt.Fprintf(&b, "      ports: %s\n", strings.ReplaceAll(fmt.Sprint(ports), " ", ", "))
	}
	methods := slices.Sorted(maps.Keys(r.methods))
	for i, m := range methods {
		methods[i] = strconv.Quote(m)
	}
	fmt.Fprintf(&b, "      methods: [%s]\n      path_allowlist:\n", strings.Join(methods, ", "))
	for _, g := range group(r.paths) {
		fmt.Fprintf(&b, "        - %s # %s", strconv.Quote(g.path), g.asked)
		if g.path == "/" {
			b.WriteString("; stands for every path")
		} else if g.of > 1 {
			fmt.Fprintf(&b, "; for %d paths", g.of)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// grouped is one entry of a path list, and how many paths it was made for.
type grouped struct {
	path  string
	asked asked
	of    int
}

// group makes a path list: what lies below another entry goes into it, and where
// there are more than maxPaths, siblings become their parent, the deepest first.
// The root is never made so: it would allow everything.
func group(paths map[string]asked) []grouped {
	var list []grouped
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		list = join(list, grouped{path, paths[path], 1})
	}
	for len(list) > maxPaths {
		parent := deepest(list)
		if parent == "" {
			break
		}
		var fewer []grouped
		at := grouped{path: parent, asked: asked{}}
		for _, g := range list {
			if covers(parent, g.path) {
				at = at.with(g)
			} else {
				fewer = append(fewer, g)
			}
		}
		list = append(fewer, at)
	}
	slices.SortFunc(list, func(x, y grouped) int { return cmp.Compare(x.path, y.path) })
	return list
}

func join(list []grouped, g grouped) []grouped {
	for i, above := range list {
		if covers(above.path, g.path) {
			list[i] = above.with(g)
			return list
		}
	}
	return append(list, g)
}

func (g grouped) with(other grouped) grouped {
	sum := asked{}
	for _, a := range []asked{g.asked, other.asked} {
		for who, n := range a {
			sum.count(who, n)
		}
	}
	return grouped{g.path, sum, g.of + other.of}
}

// covers reports whether the entry allows path, at a segment boundary.
func covers(entry, path string) bool {
	if entry == path {
		return true
	}
	return strings.HasPrefix(path, strings.TrimSuffix(entry, "/")+"/")
}

// deepest is the parent, with its slash, of the deepest entries that have siblings; ""
// where there is none below the root.
func deepest(list []grouped) (parent string) {
	children, depth := make(map[string]int), 0
	for _, g := range list {
		path := strings.TrimSuffix(g.path, "/")
		up := path[:strings.LastIndexByte(path, '/')+1]
		children[up]++
		if n := strings.Count(up, "/"); children[up] > 1 && n > max(depth, 1) {
			parent, depth = up, n
		}
	}
	return parent
}
