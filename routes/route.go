package routes

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Protocol is what a route carries. The zero Protocol is unknown and denied.
type Protocol uint8

// The protocols of a route.
const (
	HTTP           Protocol = iota + 1 // intercepted: every request is judged
	TCP                                // opaque bytes, judged once by host and port
	TLSPassthrough                     // TLS that is not opened, judged once by server name
)

var protocolNames = map[Protocol]string{HTTP: "http", TCP: "tcp", TLSPassthrough: "tls-passthrough"}

// String returns the name that a manifest uses, or "unknown".
func (p Protocol) String() string {
	if s, ok := protocolNames[p]; ok {
		return s
	}
	return "unknown"
}

// ParseProtocol is the inverse of [Protocol.String].
func ParseProtocol(s string) (Protocol, error) {
	for p, name := range protocolNames {
		if s == name {
			return p, nil
		}
	}
	return 0, fmt.Errorf("unknown protocol %q: write http, tcp or tls-passthrough", clip(s))
}

// A Route allows requests to one host pattern. It holds no secret and no name of
// a variable of the host. A Route in a [Table] must not be changed.
type Route struct {
	Host     Pattern
	Protocol Protocol

	// AnyPath allows every path. If it is false, Paths is the complete list, and
	// an empty one denies all.
	AnyPath bool
	Paths   []PathPattern

	// Methods is the complete list; nil means all but CONNECT, TRACE and TRACK.
	Methods []string

	// Ports is the complete list; nil means 443, and 80 as well for an HTTP route
	// without Auth. A TCP route always lists them. Port 443 speaks only https and
	// port 80 only http, others either.
	Ports []uint16

	// Auth says which credential is injected; nil is none.
	Auth *Auth

	// Sealed keeps all of a response but its status from the bottle: for endpoints that
	// give tokens out.
	Sealed bool

	// AllowPrivate are the private ranges that the host may resolve to. A range may
	// be wider than a metadata service in it: whoever dials asks [IsMetadata] too.
	AllowPrivate []netip.Prefix

	// DLP is how this route deviates from the bottle's scanning; nil is not at all.
	DLP *DLP
}

// SchemeRaw is the scheme of a credential that is sent alone, without a scheme
// in front of it, as in x-api-key: TOKEN.
const SchemeRaw = "raw"

// Auth says where a credential goes. The credential itself is known by the name
// of its slot only.
type Auth struct {
	Scheme   string // an auth-scheme (RFC 9110 §11.1), or [SchemeRaw]
	Header   string // canonical field name; "" is Authorization unless Query is set
	Query    string // query parameter that takes the token instead of a field
	Username string // with Basic: user-id, the token being the password (RFC 7617)
	Slot     string // EGRESS_PROXY_TOKEN_n
}

// Field returns the name of the header field that takes the credential, or ""
// if it goes into the query.
func (a *Auth) Field() string {
	switch {
	case a.Query != "":
		return ""
	case a.Header != "":
		return a.Header
	}
	return "Authorization"
}

// Value returns what the field or the query parameter is set to for this token.
func (a *Auth) Value(token string) string {
	switch {
	case a.Scheme == SchemeRaw || a.Query != "":
		return token
	case a.Username != "":
		return a.Scheme + " " + base64.StdEncoding.EncodeToString([]byte(a.Username+":"+token))
	}
	return a.Scheme + " " + token
}

// Endpoints returns the ports that the route serves.
func (r *Route) Endpoints() []uint16 {
	switch {
	case r.Ports != nil:
		return r.Ports
	case r.Protocol == HTTP && r.Auth == nil:
		return []uint16{80, 443}
	}
	return []uint16{443}
}

// check holds what must be true between the fields of a route, wherever it came
// from.
func (r *Route) check() error {
	if r.Host.IsZero() {
		return errors.New("the route has no host")
	}
	if r.AnyPath && len(r.Paths) > 0 {
		return errors.New("the route allows any path and lists paths: do one")
	}
	if r.Methods != nil && len(r.Methods) == 0 {
		return errors.New("methods is empty, which would deny every request: list methods, or remove the key to allow the usual ones")
	}
	if r.Ports != nil && len(r.Ports) == 0 || slices.Contains(r.Ports, 0) {
		return errors.New("ports is empty, which would deny every request: list ports, or remove the key for the default")
	}
	for _, p := range r.AllowPrivate {
		if err := checkPrivate(p); err != nil {
			return err
		}
	}
	if err := r.DLP.check(); err != nil {
		return err
	}
	if addr, ok := r.Host.host.Addr(); ok && IsMetadata(addr) {
		return fmt.Errorf("%s is a metadata service, which no route may reach", addr)
	}
	switch r.Protocol {
	case HTTP:
		return r.checkAuth()
	case TCP, TLSPassthrough:
		return r.checkOpaque()
	}
	return errors.New("the route has no protocol: write http, tcp or tls-passthrough")
}

// checkOpaque refuses what needs a look into the stream.
func (r *Route) checkOpaque() error {
	proto := r.Protocol.String()
	switch {
	case !r.AnyPath:
		return fmt.Errorf("protocol %s carries no path that could be judged: remove path_allowlist, or use protocol: http", proto)
	case r.Methods != nil:
		return fmt.Errorf("protocol %s carries no method that could be judged: remove methods, or use protocol: http", proto)
	case r.Auth != nil:
		return fmt.Errorf("protocol %s is not opened, so no credential can be injected: remove auth, or use protocol: http", proto)
	case r.Sealed:
		return fmt.Errorf("protocol %s is not opened, so no response can be kept back: remove sealed, or use protocol: http", proto)
	case r.DLP != nil:
		return fmt.Errorf("protocol %s is not opened, so it can not be scanned: remove dlp, or use protocol: http", proto)
	case r.Protocol == TCP && r.Ports == nil:
		return errors.New("protocol tcp has no default port: add ports, such as ports: [22]")
	}
	if _, ok := r.Host.host.Addr(); ok && r.Protocol == TLSPassthrough {
		return errors.New("protocol tls-passthrough is judged by server name, and an IP address is none: use protocol: tcp")
	}
	return nil
}

// checkAuth refuses to send a credential to a host that somebody else could be.
func (r *Route) checkAuth() error {
	if r.Auth == nil {
		return nil
	}
	if err := r.Auth.check(); err != nil {
		return err
	}
	if _, ok := r.Host.host.Addr(); ok {
		return errors.New("auth on an IP address: a credential goes only to a host that TLS names; write the host name")
	}
	if r.Host.wildcard {
		return fmt.Errorf("auth on the wildcard %s: whoever gets a name below it would get the credential; name the host", r.Host)
	}
	if isPublicSuffix(r.Host.host.name) {
		return fmt.Errorf("auth on %s, which is a public suffix: name the host below it", r.Host)
	}
	if slices.Contains(r.Ports, 80) {
		return errors.New("auth on port 80: a credential goes only over TLS; remove port 80")
	}
	return nil
}

func (a *Auth) check() error {
	basic := strings.EqualFold(a.Scheme, "basic")
	switch {
	case a.Scheme == "" || a.Slot == "":
		return errors.New("auth needs both a scheme and a token, or neither")
	case !isToken(a.Scheme):
		return fmt.Errorf("auth scheme %q is not one word: write one such as Bearer", clip(a.Scheme))
	case a.Header != "" && a.Query != "":
		return errors.New("auth has both header and query: the credential goes to one place")
	case a.Query != "" && a.Scheme != SchemeRaw:
		return fmt.Errorf("auth.query sends the token alone, so scheme %s has no place: write scheme: raw", a.Scheme)
	case a.Scheme == SchemeRaw && a.Header == "" && a.Query == "":
		return errors.New("scheme raw sends the token alone, which Authorization does not take: add header or query")
	case a.Username != "" && !basic:
		return fmt.Errorf("auth.username belongs to scheme Basic, not %s", a.Scheme)
	}
	if a.Header != "" {
		if _, err := parseAuthHeader(a.Header); err != nil {
			return err
		}
	}
	if a.Query != "" && strings.Trim(a.Query, queryName) != "" {
		return fmt.Errorf("auth.query %q: a parameter name has letters, digits and . _ - ~ only", clip(a.Query))
	}
	return checkUsername(a.Username)
}
