package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"bottled/routes"
	"bottled/secret"
	"bottled/strict"
)

// A token is a secret that the operator holds: who may launch with it, without ever
// seeing it, and where it may go.
type token struct {
	access secret.Access
	hosts  []endpoint
	place  place
}

// An endpoint is a host and a port that a credential may be sent to.
type endpoint struct {
	host routes.Host
	port uint16
}

func (e endpoint) String() string {
	return routes.Authority{Host: e.host, Port: e.port}.String()
}

// defaultPort is where a credential goes if nothing is said: TLS's own.
const defaultPort = 443

func tokens(r *strict.Reader, n *strict.Node, file string, store *secret.Store) map[string]token {
	held := make(map[string]token)
	for i, item := range r.List(n, "tokens") {
		key := strict.Index("tokens", i)
		v := r.Object(item, key, "ref", "users", "groups", "hosts")
		ref := strict.Parsed(r, v["ref"], key+".ref", parseHeld)
		if strict.Missing(item, v, "ref") {
			r.Fail(item, key, "there is no ref: add ref: credential:NAME, file:/PATH or command:/PROGRAM ARGUMENT")
		}
		t := token{
			access: named(r, item, v, key),
			hosts:  strict.ParsedList(r, v["hosts"], key+".hosts", parseEndpoint),
			place:  place{file, item.Line, key},
		}
		if strict.Missing(item, v, "hosts") || v["hosts"] != nil && len(t.hosts) == 0 {
			r.Fail(item, key, "there are no hosts: add hosts: [NAME], the only ones that the token may be sent to")
		}
		if ref == "" {
			continue
		}
		if err := store.Add(ref, t.access); err != nil {
			r.Fail(v["ref"], key+".ref", "%v", err)
			continue
		}
		held[ref] = t
	}
	return held
}

func parseHeld(s string) (string, error) {
	ref, err := routes.ParseTokenRef(s)
	if err != nil {
		return "", err
	}
	if ref.Kind == routes.TokenEnv {
		return "", errors.New("this names a variable, which is the caller's own: write credential:NAME, file:/PATH or command:/PROGRAM ARGUMENT")
	}
	return ref.String(), nil
}

// parseEndpoint takes NAME or NAME:PORT. A credential goes only where TLS proves a
// name, so there is no wildcard and no address.
func parseEndpoint(s string) (endpoint, error) {
	name, port := s, ""
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		name, port = s[:i], s[i:]
	}
	p, err := routes.ParsePattern(name)
	if err != nil {
		return endpoint{}, err
	}
	h, ok := p.Host()
	if _, isAddr := h.Addr(); !ok || isAddr {
		return endpoint{}, fmt.Errorf("%q: a token goes only to a host that TLS names: write its full name", strict.Clip(s))
	}
	if port == "" {
		return endpoint{h, defaultPort}, nil
	}
	a, err := routes.ParseAuthority(h.String()+port, 0)
	if err != nil {
		return endpoint{}, err
	}
	return endpoint{a.Host, a.Port}, nil
}

// shown reports whether the token may be shown to a proxy that a manifest names: as to
// any host, in TLS alone, and with nobody's word for who it is but this host's.
func (t token) shown(p *routes.UpstreamProxy) bool {
	return p != nil && p.Scheme == "https" && p.CA.IsZero() && slices.Contains(t.hosts, endpoint{p.Authority.Host, p.Authority.Port})
}

// sends reports whether every request that the route takes goes where the token may.
func (t token) sends(r *routes.Route) bool {
	h, ok := r.Host.Host()
	ports := r.Ports
	if ports == nil {
		ports = []uint16{defaultPort}
	}
	return ok && !slices.ContainsFunc(ports, func(p uint16) bool {
		return !slices.Contains(t.hosts, endpoint{h, p})
	})
}
