package netns

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// addresses are all on loopback: the kernel's own, which tampering could remove, then
// those of the plan.
func addresses(p Plan) []*net.IPNet {
	nets := []*net.IPNet{{IP: net.IPv4(127, 0, 0, 1).To4(), Mask: net.CIDRMask(8, 32)}}
	if kernelHasIPv6() {
		nets = append(nets, host(netip.IPv6Loopback()))
	}
	for _, a := range p.Addresses() {
		nets = append(nets, host(a))
	}
	return nets
}

func wantAddresses(p Plan) []string {
	var lines []string
	for _, a := range addresses(p) {
		lines = append(lines, fmt.Sprintf("addr %s %s", loopback, a))
	}
	slices.Sort(lines)
	return lines
}

func haveAddresses(k *kernel) ([]string, error) {
	addrs, err := dump(func() ([]netlink.Addr, error) { return k.route.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, a := range addrs {
		line, err := addressLine(k, a)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines, nil
}

func addressLine(k *kernel, a netlink.Addr) (string, error) {
	link, err := k.route.LinkByIndex(a.LinkIndex)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("addr %s %s", link.Attrs().Name, a.IPNet), nil
}

func fixAddresses(k *kernel, p Plan) error {
	addrs, err := dump(func() ([]netlink.Addr, error) { return k.route.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return err
	}
	want := wantAddresses(p)
	for _, a := range addrs {
		line, err := addressLine(k, a)
		if err != nil {
			return err
		}
		if slices.Contains(want, line) {
			continue
		}
		link, err := k.route.LinkByIndex(a.LinkIndex)
		if err != nil {
			return err
		}
		if err := k.route.AddrDel(link, &a); err != nil {
			return fmt.Errorf("remove %s: %w", line, err)
		}
	}
	lo, err := k.route.LinkByIndex(loopbackIndex)
	if err != nil {
		return err
	}
	for _, a := range addresses(p) {
		// Nobody else can have the address, and until the check for duplicates is over
		// it cannot be the source of a route.
		if err := k.route.AddrReplace(lo, &netlink.Addr{IPNet: a, Flags: unix.IFA_F_NODAD}); err != nil {
			return fmt.Errorf("add %v: %w", a, err)
		}
	}
	return nil
}

// host is the network of one address.
func host(a netip.Addr) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
}
