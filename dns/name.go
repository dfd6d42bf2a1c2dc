package dns

import (
	"net/netip"
	"strings"

	"bottled/routes"
)

// kind is what a name is to the responder.
type kind uint8

const (
	nonexistent kind = iota // NXDOMAIN for every type
	ordinary                // has a synthetic address
	magic                   // is the enforcer
	loopback                // is 127.0.0.1 and ::1
	root                    // exists and has nothing
)

// missing are names, with everything below them, that the responder says do not exist.
// Names below .local are not among them: no multicast leaves a bottle, and clusters
// name their services so.
var missing = []string{
	routes.ProxyHost,           // what is below it would look like the enforcer
	"in-addr.arpa", "ip6.arpa", // reverse lookups
	"ipv4only.arpa",           // asks for NAT64 (RFC 7050)
	"resolver.arpa",           // asks for an encrypted resolver (RFC 9462)
	"onion",                   // must not be asked of a resolver (RFC 7686)
	"invalid",                 // RFC 6761
	"use-application-dns.net", // the answer that keeps Firefox from DNS over HTTPS
}

// classify says what a question's name is, and for an [ordinary] one which host. name
// is as dnsmessage gives it: absolute, in any case.
func classify(name string) (kind, routes.Host) {
	name = lower(strings.TrimSuffix(name, "."))
	switch {
	case name == "":
		return root, routes.Host{}
	case name == routes.MagicHost, name == routes.ProxyHost:
		return magic, routes.Host{}
	case within(name, "localhost"):
		return loopback, routes.Host{}
	case !strings.Contains(name, "."):
		return nonexistent, routes.Host{} // no search list here completes it
	}
	for _, zone := range missing {
		if within(name, zone) {
			return nonexistent, routes.Host{}
		}
	}
	// The same reading of a name as everywhere else: what is not a host name to
	// the route table has no address to connect to.
	host, err := routes.ParseSNI(name)
	if err != nil {
		return nonexistent, routes.Host{}
	}
	if _, literal := host.Addr(); literal {
		return nonexistent, routes.Host{}
	}
	return ordinary, host
}

// within reports whether name is zone or below it.
func within(name, zone string) bool {
	rest, ok := strings.CutSuffix(name, zone)
	return ok && (rest == "" || strings.HasSuffix(rest, "."))
}

// lower folds ASCII letters only, as DNS does (RFC 4343).
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

var (
	loopback4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	loopback6 = netip.IPv6Loopback()
)
