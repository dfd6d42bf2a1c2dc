package proposal

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"bottled/routes"
)

// A Route is a route that is asked for: without credentials and without private
// addresses, which only a manifest gives.
type Route struct {
	Host    routes.Pattern
	Paths   []routes.PathPattern // sorted; none means every path
	Methods []string             // sorted; none means every usual method
}

// Bounds of a route, so that all of it can be shown and read.
const (
	maxPaths   = 16
	maxPath    = 256 // bytes
	maxMethods = 16
	maxPorts   = 16
)

// ForRoute proposes a route. Its errors speak to the agent that asks.
func ForRoute(host string, paths, methods []string, reason string) (Proposal, error) {
	pattern, err := parseHost(host)
	if err != nil {
		return Proposal{}, err
	}
	r := Route{Host: pattern}
	if r.Paths, err = parsePaths(paths); err != nil {
		return Proposal{}, err
	}
	if r.Methods, err = parseMethods(methods); err != nil {
		return Proposal{}, err
	}
	why, err := parseReason(reason)
	if err != nil {
		return Proposal{}, err
	}
	return Proposal{kind: KindRoute, route: r, reason: why}, nil
}

// String returns the whole route in one line of ASCII.
func (r Route) String() string {
	methods, paths := "every method", "every path"
	if len(r.Methods) > 0 {
		methods = strings.Join(r.Methods, " ")
	}
	if len(r.Paths) > 0 {
		entries := make([]string, len(r.Paths))
		for i, p := range r.Paths {
			entries[i] = p.String()
		}
		paths = strings.Join(entries, " ")
	}
	return fmt.Sprintf("route to %s: %s on %s", r.Host, methods, paths)
}

// Granted returns the route of the table that an approval adds: intercepted HTTP
// on the usual ports, without a credential.
func (r Route) Granted() *routes.Route {
	return &routes.Route{Host: r.Host, Protocol: routes.HTTP, AnyPath: len(r.Paths) == 0, Paths: r.Paths, Methods: r.Methods}
}

// parseHost parses the host of a proposal and refuses what no route could reach.
func parseHost(s string) (routes.Pattern, error) {
	p, err := routes.ParsePattern(s)
	if err != nil {
		return routes.Pattern{}, fmt.Errorf("host: %w", err)
	}
	if addr, ok := p.Base().Addr(); ok {
		if err := checkAddr(addr); err != nil {
			return routes.Pattern{}, fmt.Errorf("host: %w", err)
		}
	}
	return p, nil
}

func checkAddr(addr netip.Addr) error {
	if routes.IsMetadata(addr) {
		return fmt.Errorf("%s is a metadata service, which no route may ever reach: there is nothing to propose", addr)
	}
	if _, err := routes.ParsePrivate(addr.String()); err == nil {
		return fmt.Errorf("%s is a private address, which only the manifest can open (allow_private): propose that with the tool capability-block", addr)
	}
	if !addr.IsGlobalUnicast() {
		return fmt.Errorf("%s is not the address of one host on a network: name the host", addr)
	}
	return nil
}

func parsePaths(entries []string) ([]routes.PathPattern, error) {
	if len(entries) > maxPaths {
		return nil, fmt.Errorf("path_allowlist has %d entries: a person has to read them, so at most %d can be proposed at a time", len(entries), maxPaths)
	}
	var paths []routes.PathPattern
	for _, s := range sorted(entries) {
		if len(s) > maxPath {
			return nil, fmt.Errorf("path_allowlist: an entry of %d bytes is too long to be shown: the limit is %d", len(s), maxPath)
		}
		p, err := routes.ParsePathPattern(s)
		if err != nil {
			return nil, fmt.Errorf("path_allowlist: %w", err)
		}
		paths = append(paths, p)
	}
	return paths, nil
}

func parseMethods(entries []string) ([]string, error) {
	if len(entries) > maxMethods {
		return nil, fmt.Errorf("methods has %d entries: the limit is %d", len(entries), maxMethods)
	}
	var methods []string
	for _, s := range sorted(entries) {
		m, err := routes.ParseMethod(s)
		if err != nil {
			return nil, fmt.Errorf("methods: %w", err)
		}
		if m == "CONNECT" || m == "TRACK" {
			return nil, errors.New("methods: " + m + " can not be proposed: only a manifest allows it")
		}
		methods = append(methods, m)
	}
	return methods, nil
}

// sorted returns the entries in order and once each.
func sorted(entries []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(entries)))
}
