package proxy

import (
	"net/http"
	"strconv"
	"strings"

	"bottled/audit"
	"bottled/routes"
)

// judge reads the request into x.query, once, and asks the table. Everything
// after works from x.query; the request's own Host and URL are not read again.
func (x *exchange) judge(r *http.Request) (reason, bool) {
	if why, ok := x.checkForm(r); !ok {
		return why, false
	}
	where, target, why, ok := x.splitTarget(r)
	if !ok {
		return why, false
	}
	authority, err := routes.ParseAuthority(where, x.defaultPort(r))
	if err != nil {
		return reasonBadRequest.because(err.Error()), false
	}
	x.address = authority.String()
	x.host = hostport(x.f.scheme(), authority.Port, x.address)
	x.event.Authority, x.event.Path = x.host, audit.PathOf(target)
	if why, ok := x.checkAuthority(r, authority); !ok {
		return why, false
	}
	x.query = routes.Query{Scheme: x.f.scheme(), SNI: x.f.sni, Authority: authority, Method: r.Method, Target: target}
	if isMagic(authority.Host) {
		return reason{}, true
	}
	d := x.table.Decide(x.query)
	x.decision = d
	x.event.Generation, x.event.Reason = d.Generation, string(d.Reason)
	if d.Route != nil {
		x.event.Route = d.Route.Host.String()
	}
	if !d.Allowed() {
		return reason{string(d.Reason), statusOf(d), d.Detail}, false
	}
	if !d.Route.AnyPath {
		for name := range r.Header {
			if secondPath(name) {
				return reason{"destination-not-allowed", http.StatusForbidden, name + " names a second path, which a route with a path list does not judge"}, false
			}
		}
	}
	return reason{}, true
}

// secondPath reports whether a field names another resource that the request is
// about: Destination of COPY and MOVE (RFC 4918 section 10.3), and the source of a
// copy or a rename in the object stores (x-amz-copy-source, x-goog-copy-source,
// x-ms-copy-source, x-ms-rename-source, x-copy-from and their like).
func secondPath(name string) bool {
	return name == "Destination" || name == "X-Copy-From" ||
		strings.HasSuffix(name, "-Copy-Source") || strings.HasSuffix(name, "-Rename-Source")
}

// maxMethod bounds a method, in bytes: the audit shows no more of it. The longest
// registered has 17.
const maxMethod = 256

// checkForm refuses what package http2 lets through, and what a second parser might read
// otherwise.
func (x *exchange) checkForm(r *http.Request) (reason, bool) {
	l := x.s.cfg.Limits
	switch {
	case len(r.Method) > maxMethod:
		x.event.Method = ""
		return reasonBadRequest.because("the method is over " + strconv.Itoa(maxMethod) + " bytes"), false
	case r.Method == http.MethodConnect, r.Method == http.MethodTrace, r.Method == "TRACK":
		return reasonMethod.because(r.Method + " is not forwarded"), false
	case r.ProtoMajor == 2 && x.f.tls && r.TLS == nil:
		return reasonBadRequest.because(":scheme is http inside TLS"), false
	case r.ProtoMajor == 2 && r.Header.Get(":protocol") != "":
		return reasonBadRequest.because("extended CONNECT is not spoken"), false
	case len(r.RequestURI) > l.TargetBytes:
		return reason{"target-too-long", http.StatusRequestURITooLong, "the request target is over " + strconv.Itoa(l.TargetBytes) + " bytes"}, false
	case fields(r.Header)+len(r.Trailer) > l.HeaderFields:
		return reasonTooLarge.because("more than " + strconv.Itoa(l.HeaderFields) + " header fields"), false
	}
	if cl := r.Header["Content-Length"]; len(cl) > 1 || len(cl) == 1 && !digits(cl[0]) {
		return reasonBadRequest.because("Content-Length must be one decimal number"), false
	}
	return reason{}, true
}

// splitTarget returns the authority and the origin-form target that the request
// names, byte for byte as received.
func (x *exchange) splitTarget(r *http.Request) (where, target string, why reason, ok bool) {
	where, target = r.Host, r.RequestURI
	if rest, absolute := strings.CutPrefix(target, x.f.scheme()+"://"); absolute && r.ProtoMajor == 1 {
		end := strings.IndexAny(rest, "/?#")
		if end < 0 {
			end = len(rest)
		}
		where, target = rest[:end], rest[end:]
		if target == "" || target[0] != '/' {
			target = "/" + target
		}
	}
	if where == "" {
		return "", "", reasonBadRequest.because("the request names no host"), false
	}
	return where, target, reason{}, true
}

// defaultPort is the port of an authority that names none: the one the program
// connected to, or on an explicit proxy request the scheme's.
func (x *exchange) defaultPort(r *http.Request) uint16 {
	switch {
	case x.explicit(r) && x.f.tls, x.f.magic && x.f.tls && x.f.connect == nil:
		return 443
	case x.explicit(r), x.f.magic && x.f.connect == nil:
		return 80
	}
	return x.f.port()
}

// explicit reports whether the client uses the enforcer as a proxy on purpose.
func (x *exchange) explicit(r *http.Request) bool {
	return x.f.magic && x.f.connect == nil && !strings.HasPrefix(r.RequestURI, "/")
}

// checkAuthority holds SNI = authority, and the connection's port to be the
// authority's.
func (x *exchange) checkAuthority(r *http.Request, a routes.Authority) (reason, bool) {
	if r.ProtoMajor == 2 && len(r.Header["Host"]) > 0 {
		for _, h := range r.Header["Host"] {
			if other, err := routes.ParseAuthority(h, a.Port); err != nil || other != a {
				return reasonBadRequest.because("Host and :authority differ"), false
			}
		}
	}
	switch {
	case x.f.tls && x.f.sni != a.Host:
		return reasonMismatch.because("the TLS connection is for " + strconv.Quote(x.f.sni.String()) + " and the request for another host"), false
	case x.f.connect != nil && *x.f.connect != a:
		return reasonMismatch.because("the request is for another host or port than the CONNECT around it"), false
	case isMagic(a.Host):
		if a.Port != x.wellKnownPort() {
			return reasonMismatch.because("the enforcer's own pages are on ports 80 and 443"), false
		}
	case x.f.magic && x.f.connect == nil && !x.explicit(r):
		return reasonMismatch.because("a request to the enforcer as a proxy needs the absolute form"), false
	case !x.f.magic && a.Port != x.f.port():
		return reasonMismatch.because("the request is for port " + strconv.Itoa(int(a.Port)) + " and the connection for another"), false
	}
	return reason{}, true
}

func (x *exchange) wellKnownPort() uint16 {
	if x.f.tls {
		return 443
	}
	return 80
}

// hostport is an authority, whose full form is given, as it is sent in Host: without the
// scheme's own port.
func hostport(scheme string, port uint16, full string) string {
	if scheme == "https" && port == 443 || scheme == "http" && port == 80 {
		return full[:strings.LastIndexByte(full, ':')]
	}
	return full
}

func statusOf(d routes.Decision) int {
	switch d.Reason {
	case routes.ReasonMismatch, routes.ReasonNoSNI:
		return http.StatusMisdirectedRequest
	case routes.ReasonMalformed, routes.ReasonAmbiguous:
		return http.StatusBadRequest
	case routes.ReasonMethodForbid:
		return http.StatusMethodNotAllowed
	}
	return http.StatusForbidden
}

func fields(h http.Header) (n int) {
	for _, v := range h {
		n += len(v)
	}
	return n
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != "" && len(s) <= 19
}
