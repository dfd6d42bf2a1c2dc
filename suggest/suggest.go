// Package suggest writes the smallest manifest that would have allowed what was
// refused: for a person to read, cut down and merge, never to be put in force unread.
//
// What was refused is what a bottle asked for, and the bottle may ask for anything.
// So each host, method and path of the result was asked for, a wildcard never
// stands in it, and every line says which program asked and how often. Nothing is
// suggested that the parser of manifests, or the table, refuses: each candidate is
// tried before it is taken, and what no manifest allows is told in comments.
package suggest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"bottled/audit"
	"bottled/routes"
)

// Bounds of a suggestion.
const (
	maxPaths    = 8         // of one host, before those with the same parent become one entry
	maxComments = 40        // of what cannot be allowed
	maxPrograms = 8         // named for one entry
	maxText     = 256 << 10 // bytes of hosts and paths, so that the result stays a manifest
	maxWants    = 4096      // different requests; what is more is told to be left out
)

// want is one kind of request that was refused.
type want struct {
	query  routes.Query
	method string
	path   string // as an entry of a path list
}

// key tells wants apart.
func (w want) key() string {
	return fmt.Sprintf("%s %s %s %s %s", w.query.Scheme, w.query.SNI, w.query.Authority, w.method, w.query.Target)
}

// asked is who asked for something, by program, and how often.
type asked map[string]uint64

func (a asked) add(e audit.Event) {
	who := audit.Visible(e.Process.Comm)
	if who == "" || len(who) > 64 {
		who = "unknown"
	}
	a.count(who, max(1, e.Count))
}

func (a asked) count(who string, n uint64) {
	if _, known := a[who]; !known && len(a) >= maxPrograms {
		who = "others"
	}
	a[who] += n
}

// String names the programs, the busiest first.
func (a asked) String() string {
	names := slices.SortedFunc(maps.Keys(a), func(x, y string) int { return cmp.Or(cmp.Compare(a[y], a[x]), cmp.Compare(x, y)) })
	for i, name := range names {
		names[i] = fmt.Sprintf("%s (%d×)", name, a[name])
	}
	return strings.Join(names, ", ")
}

// Suggestion is what came of a record of refusals.
type Suggestion struct {
	routes map[routes.Host]*route
	not    map[string]asked // what cannot be allowed, and why
	wants  map[string]want
	size   int // of the texts in wants
	over   int
}

// route is one host of the result.
type route struct {
	host    routes.Host
	ports   map[uint16]bool
	methods map[string]bool
	paths   map[string]asked
}

// From works out what would have allowed the events that were denied; others are
// passed over.
func From(events []audit.Event) *Suggestion {
	s := &Suggestion{routes: map[routes.Host]*route{}, not: map[string]asked{}, wants: map[string]want{}}
	for _, e := range events {
		if e.Verdict != audit.Allow {
			s.take(e)
		}
	}
	return s
}

// empty reports whether there is no route to suggest.
func (s *Suggestion) empty() bool { return len(s.routes) == 0 }

func (s *Suggestion) take(e audit.Event) {
	switch e.Kind {
	case audit.Request, audit.Connection, audit.Kernel:
	default:
		return
	}
	w, why := wanted(e)
	if _, known := s.wants[w.key()]; why == "" && !known {
		why = w.refused()
		size := len(w.path) + len(w.query.Authority.String())
		if why == "" && (len(s.wants) >= maxWants || s.size+size > maxText) {
			s.over++
			return
		}
		s.size += size
	}
	if why != "" {
		what := strings.TrimSpace(e.Method+" "+e.Target()) + ": " + why
		if s.not[what] == nil && len(s.not) < maxComments {
			s.not[what] = asked{}
		}
		if a := s.not[what]; a != nil {
			a.add(e)
		}
		return
	}
	s.wants[w.key()] = w
	at := w.query.Authority.Host
	r := s.routes[at]
	if r == nil {
		r = &route{host: at, ports: map[uint16]bool{}, methods: map[string]bool{}, paths: map[string]asked{}}
		s.routes[at] = r
	}
	r.ports[w.query.Authority.Port], r.methods[w.method] = true, true
	if r.paths[w.path] == nil {
		r.paths[w.path] = asked{}
	}
	r.paths[w.path].add(e)
}

// curable are the reasons that another manifest would have changed.
var curable = map[string]bool{
	string(routes.ReasonHost): true, string(routes.ReasonPort): true, string(routes.ReasonPath): true,
	string(routes.ReasonMethod): true, string(routes.ReasonNoTable): true,
}

// wanted reads an event as a request to be allowed, or says why it is none.
func wanted(e audit.Event) (w want, why string) {
	if e.Kind != audit.Request || !curable[e.Reason] {
		return w, e.Reason
	}
	port := uint16(443)
	if e.Scheme == "http" {
		port = 80
	}
	authority, err := routes.ParseAuthority(e.Authority, port)
	if err != nil {
		return w, "its host is not one that a manifest can name"
	}
	w = want{method: e.Method, path: entry(e.Path.String())}
	w.query = routes.Query{Scheme: e.Scheme, Authority: authority, Method: e.Method, Target: e.Path.String()}
	if e.SNI != "" {
		if w.query.SNI, err = routes.ParseSNI(e.SNI); err != nil {
			return w, "its server name is not one that a manifest can name"
		}
	}
	if w.path == "" {
		return w, "its path cannot be named without a wildcard"
	}
	return w, ""
}

// entry is the entry of a path list for a path: itself without a slash at the end,
// or what stands before an asterisk, which would be a wildcard. "" is none.
func entry(path string) string {
	if i := strings.IndexByte(path, '*'); i >= 0 {
		if path = path[:strings.LastIndexByte(path[:i], '/')+1]; path == "/" {
			return ""
		}
		return path
	}
	if !strings.HasPrefix(path, "/") {
		return ""
	}
	return cmp.Or(strings.TrimRight(path, "/"), "/")
}

// refused tries a manifest of this request alone, and says why it does not do.
func (w want) refused() string {
	r := &route{
		host: w.query.Authority.Host, ports: map[uint16]bool{w.query.Authority.Port: true},
		methods: map[string]bool{w.method: true}, paths: map[string]asked{w.path: nil},
	}
	t, err := table([]byte(head + r.text()))
	if err != nil {
		return "no manifest can allow it"
	}
	if d := t.Decide(w.query); !d.Allowed() {
		return string(d.Reason)
	}
	return ""
}

// table is what a manifest comes to.
func table(text []byte) (*routes.Table, error) {
	m, err := routes.ParseManifest("suggestion", text)
	if err != nil {
		return nil, err
	}
	e, err := m.Effective()
	if err != nil {
		return nil, err
	}
	return e.Table(1)
}
