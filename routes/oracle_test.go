package routes

import (
	"slices"
	"strings"
	"testing"
)

// oracleDecide is [Table.Decide] again, slow and by the words of the package
// comment: it looks at every route and every entry, and shares no index with it.
func oracleDecide(list []*Route, q Query) *Route {
	path, _, _ := strings.Cut(q.Target, "?")
	if len(list) == 0 || q.Authority.Host.IsZero() || !oracleTarget(q.Target) {
		return nil
	}
	_, literal := q.Authority.Host.Addr()
	if q.Scheme == "https" && q.SNI != q.Authority.Host && !(literal && q.SNI.IsZero()) || q.Scheme == "http" && !q.SNI.IsZero() {
		return nil
	}
	if q.Authority.Port == 80 && q.Scheme != "http" || q.Authority.Port == 443 && q.Scheme != "https" {
		return nil
	}
	// The nearest pattern decides alone.
	var pattern Pattern
	for _, r := range list {
		nearer := !r.Host.Wildcard() && pattern.Wildcard() || len(r.Host.String()) > len(pattern.String())
		if r.Host.Matches(q.Authority.Host) && (pattern.IsZero() || pattern.Wildcard() && nearer) {
			pattern = r.Host
		}
	}
	var on []*Route
	strict := false
	for _, r := range list {
		if r.Host == pattern && slices.Contains(oraclePorts(r), q.Authority.Port) && r.Protocol == HTTP {
			on = append(on, r)
			strict = strict || !r.AnyPath
		}
	}
	if strict && CheckPath(path) != nil {
		return nil
	}
	r := oracleRoute(on, path, q.Method, false)
	if strict && r != oracleRoute(on, path, q.Method, true) {
		return nil
	}
	if r != nil && r.Auth != nil && q.Scheme != "https" {
		return nil
	}
	return r
}

func oraclePorts(r *Route) []uint16 {
	if len(r.Ports) > 0 {
		return r.Ports
	}
	if r.Auth != nil {
		return []uint16{443}
	}
	return []uint16{80, 443}
}

func oracleTarget(target string) bool {
	if !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") || strings.HasPrefix(target, `/\`) {
		return false
	}
	for _, c := range []byte(target) {
		if c <= ' ' || c > '~' || c == '#' {
			return false
		}
	}
	path, _, _ := strings.Cut(target, "?")
	for i, part := range strings.Split(path, "%") {
		if i > 0 && (len(part) < 2 || strings.Trim(part[:2], "0123456789abcdefABCDEF") != "") {
			return false
		}
	}
	return true
}

// oracleRoute takes the most specific of all entries that match, by path alone,
// and then a route with that entry that takes the method.
func oracleRoute(on []*Route, path, method string, decoded bool) *Route {
	best, found := "", false
	for _, r := range on {
		for _, p := range oracleEntries(r) {
			if oracleMatch(p, path, decoded) && (!found || oracleLess(best, p)) {
				best, found = p, true
			}
		}
	}
	if !found {
		return nil
	}
	for _, r := range on {
		if slices.Contains(oracleEntries(r), best) && oracleMethod(r, method) {
			return r
		}
	}
	return nil
}

// oracleEntries are the entries as text; "" stands for any path.
func oracleEntries(r *Route) []string {
	if r.AnyPath {
		return []string{""}
	}
	var list []string
	for _, p := range r.Paths {
		list = append(list, p.String())
	}
	return list
}

func oracleMethod(r *Route, method string) bool {
	if !isToken(method) || strings.EqualFold(method, "TRACE") {
		return false
	}
	if r.Methods != nil {
		return slices.Contains(r.Methods, method)
	}
	return !strings.EqualFold(method, "TRACK") && !strings.EqualFold(method, "CONNECT")
}

func oracleMatch(entry, path string, decoded bool) bool {
	if entry == "" {
		return true
	}
	if decoded {
		entry, path = decodePath(entry), decodePath(path)
	}
	want, have := strings.Split(entry[1:], "/"), strings.Split(path[1:], "/")
	if want[len(want)-1] == "" {
		want = want[:len(want)-1]
		if len(have) <= len(want) {
			return false
		}
	}
	if len(have) < len(want) {
		return false
	}
	for i, w := range want {
		if have[i] == "" || !oracleGlob(w, have[i]) {
			return false
		}
	}
	return true
}

func oracleGlob(pattern, s string) bool {
	if pattern == "" {
		return s == ""
	}
	if pattern[0] == '*' {
		return oracleGlob(pattern[1:], s) || s != "" && oracleGlob(pattern, s[1:])
	}
	return s != "" && s[0] == pattern[0] && oracleGlob(pattern[1:], s[1:])
}

// oracleLess reports whether entry b is more specific than a.
func oracleLess(a, b string) bool {
	if a == "" || b == "" {
		return a == "" && b != ""
	}
	as, bs := strings.Split(a[1:], "/"), strings.Split(b[1:], "/")
	for i := 0; i < len(as) && i < len(bs); i++ {
		x, y := as[i], bs[i]
		if x == y {
			continue
		}
		if x == "" || y == "" { // a trailing slash is less than a further segment
			return x == ""
		}
		xg, yg := strings.Contains(x, "*"), strings.Contains(y, "*")
		if xg != yg {
			return xg
		}
		return compareGlobs(y, x) < 0
	}
	return len(as) < len(bs)
}

// FuzzDecide holds the index to the oracle, with tables and requests made of the
// same few parts, so that they meet.
func FuzzDecide(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7}, []byte{1, 2, 3, 4}, "/a/b")
	f.Add([]byte{9, 1, 1, 0, 9, 2, 2, 1, 9, 3, 3, 2}, []byte{0, 0, 1, 0}, "/a%20b/%61")
	f.Add([]byte{1, 4, 7, 5, 1, 8, 7, 3}, []byte{3, 1, 0, 0}, "/a/x/c?d")
	hosts := []string{"a.example.com", "b.a.example.com", "c.b.a.example.com", "example.com", "192.0.2.1", "x.s3.amazonaws.com", "sts.amazonaws.com"}
	patterns := []string{"a.example.com", "*.example.com", "*.a.example.com", "b.a.example.com", "192.0.2.1", "*.amazonaws.com"}
	entries := []string{"/", "/a", "/a/", "/a/b", "/a/*", "/*/b", "/*", "/a*/b", "/*b/b", "/a%20b", "/a%20*", "/a/b/c"}
	methods := []string{"GET", "POST", "TRACE", "CONNECT", "TRACK", "get", "G T"}
	ports := []uint16{443, 80, 8443}
	f.Fuzz(func(t *testing.T, spec, ask []byte, target string) {
		next := func(b *[]byte, n int) int {
			if len(*b) == 0 {
				return 0
			}
			v := int((*b)[0]) % n
			*b = (*b)[1:]
			return v
		}
		tab := newTable(1, 0)
		for len(spec) > 0 && len(tab.routes) < 40 {
			p, err := ParsePattern(patterns[next(&spec, len(patterns))])
			if err != nil {
				t.Fatal(err)
			}
			r := &Route{Host: p, Protocol: HTTP, AnyPath: true}
			for range next(&spec, 4) {
				e, err := ParsePathPattern(entries[next(&spec, len(entries))])
				if err != nil {
					t.Fatal(err)
				}
				r.AnyPath, r.Paths = false, append(r.Paths, e)
			}
			if m := next(&spec, 6); m < 4 && m != 2 {
				r.Methods = []string{methods[m]}
			}
			if n := next(&spec, 5); n < 3 {
				r.Ports = []uint16{ports[n]}
			}
			if next(&spec, 3) == 0 && !p.Wildcard() {
				r.Auth = &Auth{Scheme: "Bearer", Slot: slotName(0)}
			}
			// A clash leaves a half-indexed table: check it on a copy first.
			if _, err := NewTable(append(slices.Clone(tab.routes), r), 1); err == nil {
				if err := tab.add(r); err != nil {
					t.Fatal(err)
				}
			}
		}
		a, err := ParseAuthority(hosts[next(&ask, len(hosts))], ports[next(&ask, len(ports))])
		if err != nil {
			t.Fatal(err)
		}
		q := Query{Scheme: []string{"https", "http"}[next(&ask, 2)], Authority: a, Method: methods[next(&ask, len(methods))], Target: target}
		if _, literal := a.Host.Addr(); q.Scheme == "https" && !literal {
			q.SNI = a.Host
		}
		got := tab.Decide(q)
		want := oracleDecide(tab.routes, q)
		if got.Allowed() != (want != nil) || got.Allowed() && got.Route != want {
			file, _ := Render(tab.routes)
			t.Fatalf("%+v\ntable %s\ngot %s %s %+v\nwant %+v", q, file, got.Reason, got.Detail, got.Route, want)
		}
	})
}
