package routes

import (
	"fmt"
	"strconv"
	"strings"
)

// Decide judges one request. The time it takes does not depend on the number of
// routes, but on the length of the host and the path (and on the entries with *
// of that one host).
//
// Every field of q is judged as it is: what is not a parsed [Host], a token or an
// origin-form target is denied, never repaired.
func (t *Table) Decide(q Query) Decision {
	if d, bad := t.judgeName(q.Authority); bad {
		return d
	}
	if d, bad := t.judgeTLS(q); bad {
		return d
	}
	s, svc, d := t.find(q.Authority)
	if svc == nil {
		return d
	}
	if svc.protocol != HTTP {
		return t.deny(ReasonProtocol, svc.first, "Port %d of %s carries %s, not HTTP requests.", q.Authority.Port, s.pattern, svc.protocol)
	}
	if want := portScheme(q.Authority.Port); want != "" && want != q.Scheme {
		return t.deny(ReasonScheme, svc.first, "Port %d speaks %s, not %s. Use the default port of the scheme.", q.Authority.Port, want, q.Scheme)
	}
	return t.judgeRequest(q, svc)
}

// judgeName denies what no table can allow.
func (t *Table) judgeName(a Authority) (Decision, bool) {
	host := a.Host
	switch {
	case t == nil || len(t.routes) == 0:
		return t.deny(ReasonNoTable, nil, "This bottle has no routes, so nothing is allowed."+askHint), true
	case host.IsZero() || a.Port == 0:
		return t.deny(ReasonMalformed, nil, "The request names no host and port."), true
	}
	if _, ok := host.Addr(); ok {
		return Decision{}, false
	}
	if why := reserved(host.name, false); why != "" {
		return t.deny(ReasonReserved, nil, "%s is not routed: %s.", host, why), true
	}
	if !host.qualified() {
		return t.deny(ReasonUnqualified, nil, "%q is not a full host name. Use one with its domain.", host.String()), true
	}
	return Decision{}, false
}

// judgeTLS holds the server name and the authority of a request to one another.
func (t *Table) judgeTLS(q Query) (Decision, bool) {
	_, literal := q.Authority.Host.Addr()
	switch {
	case q.Scheme == "http" && q.SNI.IsZero():
		return Decision{}, false
	case q.Scheme != "https":
		return t.deny(ReasonMalformed, nil, "The scheme %q is not the one the connection speaks.", clip(q.Scheme)), true
	case q.SNI.IsZero() && literal:
		return Decision{}, false // RFC 6066: an address has no server name
	case q.SNI.IsZero():
		return t.deny(ReasonNoSNI, nil, "The TLS client hello named no server, so %s can not be judged. Use a client that sends SNI.", q.Authority.Host), true
	case q.SNI != q.Authority.Host:
		return t.deny(ReasonMismatch, nil, "The connection was made to %s and the request names %s. Open a connection of its own for each host.", q.SNI, q.Authority.Host), true
	}
	return Decision{}, false
}

// find looks up the service behind an authority. The decision says why there is
// none.
func (t *Table) find(a Authority) (*site, *service, Decision) {
	s := t.site(a.Host)
	if s == nil {
		return nil, nil, t.deny(ReasonHost, nil, "%s is not in the route table of this bottle."+askHint, a.Host)
	}
	svc := s.services[a.Port]
	if svc == nil {
		return s, nil, t.deny(ReasonPort, nil, "Port %d of %s is not allowed, only %s."+askHint, a.Port, s.pattern, joinPorts(s.ports()))
	}
	return s, svc, Decision{}
}

// judgeRequest judges method and target by the routes of one host and port.
func (t *Table) judgeRequest(q Query, svc *service) Decision {
	if !isToken(q.Method) {
		return t.deny(ReasonMalformed, nil, "%q is not an HTTP method.", clip(q.Method))
	}
	path, err := splitTarget(q.Target)
	if err != nil {
		return t.deny(ReasonMalformed, nil, "The request is malformed: %v.", err)
	}
	entry := svc.paths.here
	if svc.strict {
		if err := CheckPath(path); err != nil {
			return t.deny(ReasonAmbiguous, svc.first, "The path can not be compared with the path list of %s: %v. Send it in its plain form.", q.Authority.Host, err)
		}
		entry = svc.paths.find(path)
	}
	if entry == nil {
		return t.deny(ReasonPath, svc.first, "The path %q of %s is not in its path list."+askHint, clip(path), q.Authority.Host)
	}
	r := entry.pick(q.Method)
	if r == nil && unusual(q.Method) {
		return t.deny(ReasonMethodForbid, entry.routes[0], "The method %s is not forwarded.", q.Method)
	}
	if r == nil {
		return t.deny(ReasonMethod, entry.routes[0], "The method %s is not allowed for the path %q of %s."+askHint, clip(q.Method), clip(path), q.Authority.Host)
	}
	if svc.strict && !sameDecoded(svc, path, q.Method, r) {
		return t.deny(ReasonAmbiguous, r, "The path %q of %s means another route once it is decoded. Send it in its plain form.", clip(path), q.Authority.Host)
	}
	if r.Auth != nil && q.Scheme != "https" {
		return t.deny(ReasonCleartext, r, "Requests to %s get a credential, which never travels without TLS. Use https.", q.Authority.Host)
	}
	return Decision{Verdict: Allow, Reason: ReasonAllowed, Route: r, Generation: t.generation}
}

// sameDecoded reports whether an upstream that decodes the path before it routes
// would be on the same route. The path has passed [CheckPath], so decoding it
// once is the only other reading there is.
func sameDecoded(svc *service, path, method string, r *Route) bool {
	decoded := decodePath(path)
	if decoded == path {
		return true
	}
	entry := svc.paths.find(decoded)
	return entry != nil && entry.pick(method) == r
}

// DecideHello judges a connection. Allow with a route of protocol TCP or
// TLSPassthrough means: relay the bytes to the route's host. Allow with HTTP
// means: read requests and ask [Table.Decide] about each; the route is any one of
// the host, and says only that there is one.
//
// Whoever relays dials SNI for TLSPassthrough and the host of Authority for TCP.
//
// A TLS connection is judged by its server name, which has to agree with the name
// that the client connected to, if it connected to a name. A TCP route is judged
// by the latter alone.
func (t *Table) DecideHello(h Hello) Decision {
	a := h.Authority
	if svc := t.opaque(a); svc != nil {
		return t.allow(svc)
	}
	if !h.SNI.IsZero() {
		if !h.TLS {
			return t.deny(ReasonMalformed, nil, "The connection has a server name and no TLS.")
		}
		if _, literal := a.Host.Addr(); !literal && !a.Host.IsZero() && a.Host != h.SNI {
			return t.deny(ReasonMismatch, nil, "The connection was made to %s and TLS names %s. Connect to the host that is named.", a.Host, h.SNI)
		}
		a.Host = h.SNI
	}
	if d, bad := t.judgeName(a); bad {
		return d
	}
	return t.judgeHello(h, a)
}

// opaque returns the service of a TCP route for the authority, or nil.
func (t *Table) opaque(a Authority) *service {
	if s := t.site(a.Host); s != nil {
		if svc := s.services[a.Port]; svc != nil && svc.protocol == TCP {
			return svc
		}
	}
	return nil
}

// judgeHello judges a connection to a host that is named, on a port that is not
// opaque by that name.
func (t *Table) judgeHello(h Hello, a Authority) Decision {
	_, svc, d := t.find(a)
	if svc == nil {
		return d
	}
	_, literal := a.Host.Addr()
	switch {
	case svc.protocol == TCP:
		// The server name alone says nothing about who answers on an opaque port.
		return t.deny(ReasonProtocol, svc.first, "Port %d of %s is opaque. Connect to it by name.", a.Port, a.Host)
	case h.TLS && h.SNI.IsZero() && !literal:
		return t.deny(ReasonNoSNI, svc.first, "The TLS client hello named no server, so %s can not be judged. Use a client that sends SNI.", a.Host)
	case svc.protocol == TLSPassthrough && !h.TLS:
		return t.deny(ReasonProtocol, svc.first, "Port %d of %s takes TLS only.", a.Port, a.Host)
	}
	if svc.protocol == HTTP {
		scheme := "http"
		if h.TLS {
			scheme = "https"
		}
		if want := portScheme(a.Port); want != "" && want != scheme {
			return t.deny(ReasonScheme, svc.first, "Port %d speaks %s, not %s. Use the default port of the scheme.", a.Port, want, scheme)
		}
	}
	return t.allow(svc)
}

func (t *Table) allow(svc *service) Decision {
	return Decision{Verdict: Allow, Reason: ReasonAllowed, Route: svc.first, Generation: t.generation}
}

func (t *Table) deny(reason Reason, r *Route, format string, args ...any) Decision {
	return Decision{Reason: reason, Detail: fmt.Sprintf(format, args...), Route: r, Generation: t.Generation()}
}

// portScheme returns the scheme that a well-known port speaks, or "".
func portScheme(port uint16) string {
	switch port {
	case 80:
		return "http"
	case 443:
		return "https"
	}
	return ""
}

func joinPorts(ports []uint16) string {
	words := make([]string, len(ports))
	for i, p := range ports {
		words[i] = strconv.Itoa(int(p))
	}
	return strings.Join(words, ", ")
}
