package netns

import (
	"fmt"
	"net"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// metric6 is what the kernel gives IPv6 routes that have none (IP6_RT_PRIO_USER).
const metric6 = 1024

// routes are ours: every address of the world is local.
func routes(p Plan) []netlink.Route {
	route := func(family, metric int, src net.IP, bits int) netlink.Route {
		return netlink.Route{
			Family:    family,
			Table:     p.Table,
			Type:      unix.RTN_LOCAL,
			Scope:     netlink.SCOPE_HOST,
			Protocol:  unix.RTPROT_STATIC,
			LinkIndex: loopbackIndex,
			Dst:       &net.IPNet{IP: make(net.IP, bits/8), Mask: net.CIDRMask(0, bits)},
			Src:       src,
			Priority:  metric,
		}
	}
	list := []netlink.Route{route(unix.AF_INET, 0, p.Addr4.AsSlice(), 32)}
	if p.Addr6.IsValid() {
		r := route(unix.AF_INET6, metric6, p.Addr6.AsSlice(), 128)
		r.Scope = netlink.SCOPE_UNIVERSE // IPv6 has no scopes of routes
		list = append(list, r)
	}
	return list
}

func wantRoutes(p Plan) []string {
	var lines []string
	for _, r := range routes(p) {
		lines = append(lines, routeLine(r))
	}
	slices.Sort(lines)
	return lines
}

func haveRoutes(k *kernel) ([]string, error) {
	list, err := listRoutes(k)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, r := range list {
		lines = append(lines, routeLine(r))
	}
	slices.Sort(lines)
	return lines, nil
}

// listRoutes lists the routes of all tables but those that the kernel makes from the
// addresses, which are compared themselves.
func listRoutes(k *kernel) ([]netlink.Route, error) {
	all, err := dump(func() ([]netlink.Route, error) {
		return k.route.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(r netlink.Route) bool { return r.Protocol == unix.RTPROT_KERNEL }), nil
}

func routeLine(r netlink.Route) string {
	line := fmt.Sprintf("route %s table %d type %d to %v dev %d metric %d", familyName(r.Family), r.Table, r.Type, r.Dst, r.LinkIndex, r.Priority)
	if r.Src != nil {
		line += fmt.Sprintf(" src %v", r.Src)
	}
	if r.Gw != nil || r.Via != nil || r.MultiPath != nil || r.Encap != nil || r.NewDst != nil || r.Tos != 0 {
		line += fmt.Sprintf(" and more: %v", r)
	}
	return line
}

func fixRoutes(k *kernel, p Plan) error {
	list, err := listRoutes(k)
	if err != nil {
		return err
	}
	want := wantRoutes(p)
	for _, r := range list {
		if slices.Contains(want, routeLine(r)) {
			continue
		}
		if err := k.route.RouteDel(&r); err != nil {
			return fmt.Errorf("remove %s: %w", routeLine(r), err)
		}
	}
	for _, r := range routes(p) {
		if err := k.route.RouteReplace(&r); err != nil {
			return fmt.Errorf("add %s: %w", routeLine(r), err)
		}
	}
	return nil
}
