package routes

import (
	"fmt"
	"maps"
	"slices"

	"bottled/strict"
)

// A Manifest is what a person asks for: one per bottle. It holds names of tokens
// and never a token. The zero Manifest allows nothing: it is without the default
// hosts too.
type Manifest struct {
	// Defaults adds [DefaultAllowlist] to the effective table. Absent means true.
	Defaults bool

	// Allowlist are hosts to pass without credential and path list (egress.allowlist).
	Allowlist []Pattern

	// Routes are egress_proxy.routes, in their order.
	Routes []ManifestRoute

	// UpstreamCA is trusted for upstreams beside the system's roots.
	UpstreamCA PEM

	// UpstreamProxy chains all connections to another proxy; nil is none.
	UpstreamProxy *UpstreamProxy

	// DLP is how the bottle scans what leaves it. The zero Mode means block.
	DLP DLP

	Bottle Settings

	name string // for the warnings
}

// A ManifestRoute is a route and what only the launching side needs of it.
type ManifestRoute struct {
	Route
	TokenRef TokenRef // zero if the route has no auth
	Roles    []Role
	Line     int // in the manifest
}

// ParseManifest parses a manifest in YAML or JSON. It is strict: the version has
// to be there, and unknown keys, duplicate keys, a second document, aliases,
// tags, values of another type and input over [MaxManifest] are errors. The error
// is a [Problems]: each names file (as in name), line, key, and what to do.
//
// It opens no file: see [PEM].
func ParseManifest(name string, data []byte) (*Manifest, error) {
	r := &reader{strict.New(name, "manifest")}
	n := r.YAML(data)
	if err := r.Err(); err != nil {
		return nil, err
	}
	m := r.manifest(n)
	if err := r.Err(); err != nil {
		return nil, err
	}
	r.conflicts(m)
	if err := r.Err(); err != nil {
		return nil, err
	}
	m.name = name
	return m, nil
}

func (r *reader) manifest(n *strict.Node) *Manifest {
	v := r.Object(n, "", "version", "defaults", "egress", "egress_proxy", "upstream_ca", "upstream_proxy", "dlp", "bottle")
	r.Version(n, v)
	m := &Manifest{
		Defaults:   r.Flag(v["defaults"], "defaults", true),
		UpstreamCA: strict.Parsed(r.Reader, v["upstream_ca"], "upstream_ca", ParsePEM),
		DLP:        r.dlp(v["dlp"], "dlp"),
		Bottle:     r.settings(v["bottle"]),
	}
	proxied := v["upstream_proxy"]
	m.UpstreamProxy = ReadUpstreamProxy(r.Reader, proxied, r.Object(proxied, "upstream_proxy", "url", "ca", "auth"))
	egress := r.Object(v["egress"], "egress", "allowlist")
	for i, item := range r.List(egress["allowlist"], "egress.allowlist") {
		m.Allowlist = append(m.Allowlist, strict.Parsed(r.Reader, item, strict.Index("egress.allowlist", i), ParsePattern))
	}
	proxy := r.Object(v["egress_proxy"], "egress_proxy", "routes")
	for i, item := range r.List(proxy["routes"], "egress_proxy.routes") {
		m.Routes = append(m.Routes, r.manifestRoute(item, strict.Index("egress_proxy.routes", i)))
	}
	return m
}

func (r *reader) manifestRoute(n *strict.Node, key string) ManifestRoute {
	v := r.Object(n, key, "host", "path_allowlist", "methods", "ports", "protocol", "auth", "role", "sealed", "allow_private", "dlp")
	if strict.Missing(n, v, "host") {
		r.Fail(n, key, "the route has no host: add host: NAME")
	}
	route := ManifestRoute{
		Line:  n.Line,
		Route: r.route(v, key),
		Roles: strict.ParsedList(r.Reader, v["role"], key+".role", ParseRole),
	}
	route.Auth, route.TokenRef = r.auth(v["auth"], key+".auth")
	return route
}

// route reads the keys that a manifest and a rendered routes file share.
func (r *reader) route(v map[string]*strict.Node, key string) Route {
	route := Route{
		Host:         strict.Parsed(r.Reader, v["host"], key+".host", ParsePattern),
		Protocol:     HTTP,
		AnyPath:      v["path_allowlist"] == nil,
		Paths:        strict.ParsedList(r.Reader, v["path_allowlist"], key+".path_allowlist", ParsePathPattern),
		Methods:      strict.ParsedList(r.Reader, v["methods"], key+".methods", ParseMethod),
		Ports:        r.ports(v["ports"], key+".ports"),
		Sealed:       r.Flag(v["sealed"], key+".sealed", false),
		AllowPrivate: strict.ParsedList(r.Reader, v["allow_private"], key+".allow_private", ParsePrivate),
	}
	if v["protocol"] != nil {
		route.Protocol = strict.Parsed(r.Reader, v["protocol"], key+".protocol", ParseProtocol)
	}
	if v["dlp"] != nil {
		d := r.dlp(v["dlp"], key+".dlp")
		route.DLP = &d
	}
	return route
}

func (r *reader) ports(n *strict.Node, key string) []uint16 {
	items := r.List(n, key)
	if items == nil {
		return nil
	}
	seen := make(map[uint16]bool)
	ports := make([]uint16, 0, len(items))
	for i, item := range items {
		p := r.port(item, strict.Index(key, i))
		if p != 0 && seen[p] {
			r.Fail(item, strict.Index(key, i), "port %d is listed twice: remove one", p)
		}
		seen[p] = true
		ports = append(ports, p)
	}
	return ports
}

func (r *reader) auth(n *strict.Node, key string) (*Auth, TokenRef) {
	if n == nil {
		return nil, TokenRef{}
	}
	v := r.Object(n, key, "scheme", "token_ref", "header", "username", "query")
	if n.Kind != strict.Map {
		return nil, TokenRef{}
	}
	a := &Auth{
		Scheme:   r.Text(v["scheme"], key+".scheme"),
		Header:   strict.Parsed(r.Reader, v["header"], key+".header", parseAuthHeader),
		Query:    r.Text(v["query"], key+".query"),
		Username: r.Text(v["username"], key+".username"),
		Slot:     slotName(0), // assigned in Effective
	}
	if v["scheme"] == nil && (v["header"] != nil || v["query"] != nil) {
		a.Scheme = SchemeRaw
	}
	if strict.Missing(n, v, "token_ref") || a.Scheme == "" && strict.Missing(n, v, "scheme") {
		r.Fail(n, key, "auth needs both scheme and token_ref: add the missing one, or remove the block")
		return nil, TokenRef{}
	}
	return a, strict.Parsed(r.Reader, v["token_ref"], key+".token_ref", ParseTokenRef)
}

// conflicts reports what is wrong within and between routes that are each well
// formed, by the same code that loads a table, and variables that are set twice.
func (r *reader) conflicts(m *Manifest) {
	t := newTable(0, len(m.Routes))
	owner := make(map[string]string)
	for i := range m.Routes {
		key, route := strict.Index("egress_proxy.routes", i), &m.Routes[i]
		at := &strict.Node{Line: route.Line}
		if err := t.add(&route.Route); err != nil {
			r.Fail(at, key, "%v", err)
		}
		for _, role := range route.Roles {
			for _, name := range role.Env {
				owner[name] = fmt.Sprintf("role %s of %s", role.Name, key)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Bottle.envLines)) {
		line := m.Bottle.envLines[name]
		if by := owner[name]; by != "" {
			r.Fail(&strict.Node{Line: line}, "bottle.env."+name, "%s sets this variable already: remove one", by)
		}
	}
}
