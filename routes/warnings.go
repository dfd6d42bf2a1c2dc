package routes

import (
	"fmt"
	"slices"
	"strings"

	"bottled/strict"
)

// bodyDriven are path segments of endpoints where the body, and not the path,
// says what is done.
var bodyDriven = []string{"graphql", "jsonrpc", "json-rpc", "xmlrpc", "xmlrpc.php", "soap", "batch", "$batch", "_bulk", "mcp"}

// minting are path segments of endpoints that give tokens out.
var minting = []string{"access_tokens", "access_token", "personal_access_tokens", "oauth", "token", "tokens", "credentials"}

// Warnings returns what is allowed and worth a second look: wildcards, endpoints
// that a path list does not really limit or that give tokens out, routes that allow
// nothing, roles that promise a token that no route injects, a credential in the clear.
// Those of routes come first and in their order; none is a reason to refuse the manifest.
func (m *Manifest) Warnings() []Problem {
	var list []Problem
	warn := func(line int, key, format string, args ...any) {
		list = append(list, Problem{File: m.name, Line: line, Key: key, Text: fmt.Sprintf(format, args...)})
	}
	for i := range m.Routes {
		r, key := &m.Routes[i], strict.Index("egress_proxy.routes", i)
		if r.Host.wildcard {
			warn(r.Line, key, "%s lets the labels of a name carry data to whoever serves the zone: name the hosts if they are known", r.Host)
		}
		if !r.AnyPath && len(r.Paths) == 0 {
			warn(r.Line, key, "path_allowlist is empty, so every request to %s is denied", r.Host)
		}
		for _, p := range r.Paths {
			if slices.ContainsFunc(p.segments, isBodyDriven) {
				warn(r.Line, key, "the path %q usually acts on the body of the request, which no path list limits: it is allowed as a whole", p)
			}
			if r.Auth != nil && !r.Sealed && slices.ContainsFunc(p.segments, isMinting) {
				warn(r.Line, key, "the path %q usually answers with a token, which the bottle would hold: give it a route of its own with sealed: true, or remove it", p)
			}
		}
		if len(r.Roles) > 0 && r.Auth == nil {
			warn(r.Line, key, "role %s makes its tool believe that it is signed in, and the route has no auth: add auth", r.Roles[0].Name)
		}
	}
	if p := m.UpstreamProxy; p != nil && p.Auth != nil && p.overheard() {
		warn(p.Line, "upstream_proxy.auth", "the credential goes to %s in the clear, for whoever is on the way to read: use https:// if the proxy can", p)
	}
	return list
}

func isMinting(segment string) bool {
	return slices.Contains(minting, strings.ToLower(segment))
}

func isBodyDriven(segment string) bool {
	return slices.Contains(bodyDriven, strings.ToLower(segment))
}
