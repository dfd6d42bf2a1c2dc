package routes

import "strings"

const (
	// MagicHost is the name under which the enforcer itself answers inside every
	// bottle. No route may claim it and no table decides about it: the enforcer
	// compares the canonical host with it ([Host.IsMagic]) before routing.
	//
	// The underscore keeps it out of reach of every name that [ParseHost] takes.
	MagicHost = "_egress-proxy.local"

	// ProxyHost is the name of the enforcer as an explicit proxy, as in
	// HTTP_PROXY=http://egress-proxy:8080.
	ProxyHost = "egress-proxy"
)

// reserved returns why no route may have the name as its host, or "". For a
// wildcard, name is what follows "*.".
func reserved(name string, wildcard bool) string {
	under := func(zone string) bool { return name == zone || strings.HasSuffix(name, "."+zone) }
	switch {
	case under(MagicHost), wildcard && name == "local":
		return "it would shadow " + MagicHost + ", which the enforcer answers itself"
	case under(ProxyHost):
		return "it is the enforcer's own name inside the bottle"
	case under("localhost"):
		return "it is loopback inside the bottle (RFC 6761 §6.3), which needs no route"
	}
	return ""
}
