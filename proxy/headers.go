package proxy

import (
	"net/http"
	"net/textproto"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// hopByHop ends at this hop (RFC 9110 section 7.6.1), whatever Connection says.
var hopByHop = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Transfer-Encoding", "Te", "Trailer", "Upgrade", "Http2-Settings",
	"Proxy-Authorization", "Proxy-Authenticate", "Proxy-Authentication-Info",
}

// overrides are fields by which a client tells some server that the request is
// for another path, host or peer than it says. What was judged is what is sent,
// so they go.
var overrides = []string{
	"X-Original-Url", "X-Rewrite-Url", "X-Original-Uri", "X-Original-Host", "X-Original-Method",
	"X-Http-Method", "X-Http-Method-Override", "X-Method-Override",
	"X-Host", "X-Http-Host-Override", "X-Http-Path-Override", "X-Http-Destinationurl", "X-Proxy-Url", "X-Envoy-Original-Path",
	"X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "Fastly-Client-Ip",
	"Forwarded", "X-Forwarded", "Base-Url", "Front-End-Https", "Max-Forwards", "Alt-Used",
}

// credentialFields may not come from the bottle on a route that injects one, and
// never in a trailer.
var credentialFields = []string{"Authorization", "Proxy-Authorization"}

// notInTrailer are fields that route, frame or authenticate a message, which a
// trailer must not (RFC 9110 section 6.5.1).
var notInTrailer = []string{
	"Host", "Content-Length", "Content-Encoding", "Content-Type", "Content-Range", "Cookie", "Set-Cookie", "X-Api-Key",
	"Expect", "Range", "Cache-Control", "Age", "Location", "Www-Authenticate",
}

// cleanRequest removes what must not reach the upstream. Fields that Connection
// nominates go too, before anything is injected, so that nothing injected can be
// nominated away.
func cleanRequest(h http.Header) {
	dropNominated(h)
	trailers := strings.EqualFold(h.Get("Te"), "trailers") // gRPC asks for them this way (RFC 9110 section 10.1.4)
	drop(h, hopByHop)
	drop(h, overrides)
	for name := range h {
		if strings.HasPrefix(name, "X-Forwarded-") || strings.ContainsRune(name, '_') || name == "Host" || strings.HasPrefix(name, ":") {
			delete(h, name)
		}
	}
	if trailers {
		h["Te"] = []string{"trailers"}
	}
	if _, set := h["User-Agent"]; !set {
		h["User-Agent"] = nil // or the transport names itself
	}
}

// cleanResponse removes what must not reach the bottle: what is of this hop, and
// invitations to other protocols and ports (RFC 7838), where nobody would judge.
func cleanResponse(h http.Header) {
	dropNominated(h)
	drop(h, hopByHop)
	delete(h, "Alt-Svc")
}

// sealResponse also removes what would hand the injected credential's session to
// the bottle.
func sealResponse(h http.Header) {
	drop(h, []string{"Set-Cookie", "Set-Cookie2", "Www-Authenticate", "Authentication-Info"})
}

// cleanTrailer returns the fields of t that may be in a trailer.
func cleanTrailer(t http.Header, also ...string) http.Header {
	out := make(http.Header, len(t))
	for name, values := range t {
		out[textproto.CanonicalMIMEHeaderKey(name)] = values
	}
	for _, list := range [][]string{hopByHop, overrides, credentialFields, notInTrailer, also} {
		drop(out, list)
	}
	for name := range out {
		if strings.HasPrefix(name, "X-Forwarded-") || strings.ContainsRune(name, '_') || !httpguts.ValidHeaderFieldName(name) {
			delete(out, name)
		}
	}
	return out
}

func dropNominated(h http.Header) {
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = textproto.CanonicalMIMEHeaderKey(textproto.TrimString(name)); !protected[name] {
				delete(h, name)
			}
		}
	}
}

// protected are fields that no Connection field may remove: the message would
// mean something else without them.
var protected = map[string]bool{
	"Te": true, "Cookie": true, "Content-Length": true, "Content-Type": true, "Content-Encoding": true, "Authorization": true,
	"Range": true, "If-Match": true, "If-None-Match": true, "If-Modified-Since": true, "If-Unmodified-Since": true, "If-Range": true,
}

func drop(h http.Header, names []string) {
	for _, n := range names {
		delete(h, n)
	}
}
