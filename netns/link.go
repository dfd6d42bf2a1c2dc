package netns

import (
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/vishvananda/netlink"
)

// loopback is the first interface of every namespace (LOOPBACK_IFINDEX in the kernel).
const (
	loopback      = "lo"
	loopbackIndex = 1
)

// peer is the name of the other end of the pair that Plan.Interface asks for.
func peer(name string) string { return name + "p" }

func wantLinks(p Plan) []string {
	lines := []string{linkLine(loopback, "device")}
	if p.Interface != "" {
		lines = append(lines, linkLine(p.Interface, "veth"), linkLine(peer(p.Interface), "veth"))
	}
	slices.Sort(lines)
	return lines
}

// haveLinks passes over interfaces that are down: the kernel makes some in every
// namespace (sit0, tunl0, … where their modules are loaded) that cannot be deleted.
func haveLinks(k *kernel) ([]string, error) {
	links, err := dump(k.route.LinkList)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, l := range links {
		if l.Attrs().Flags&net.FlagUp != 0 {
			lines = append(lines, linkLine(l.Attrs().Name, l.Type()))
		}
	}
	slices.Sort(lines)
	return lines, nil
}

func linkLine(name, kind string) string {
	return fmt.Sprintf("link %s %s up", name, kind)
}

func fixLinks(k *kernel, p Plan) error {
	links, err := dump(k.route.LinkList)
	if err != nil {
		return err
	}
	want := wantLinks(p)
	var pair bool
	for _, l := range links {
		name := l.Attrs().Name
		switch {
		case slices.Contains(want, linkLine(name, l.Type())):
			pair = pair || name == p.Interface
			if err := k.route.LinkSetUp(l); err != nil {
				return fmt.Errorf("set %s up: %w", name, err)
			}
		case l.Attrs().Flags&net.FlagUp != 0:
			// What cannot be deleted is at least set down. Its other end is gone
			// already when it is the second of a pair.
			if err := k.route.LinkDel(l); err != nil {
				if down := k.route.LinkSetDown(l); down != nil && !errors.As(down, new(netlink.LinkNotFoundError)) {
					return fmt.Errorf("remove %s: %w", name, errors.Join(err, down))
				}
			}
		}
	}
	if p.Interface == "" || pair {
		return nil
	}
	return addPair(k, p.Interface)
}

// addPair makes the second interface. It answers no ARP, so nothing is asked on it.
func addPair(k *kernel, name string) error {
	pair := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: peer(name)}
	pair.Name = name
	if err := k.route.LinkAdd(pair); err != nil {
		return fmt.Errorf("add %s: %w", name, err)
	}
	for _, end := range []string{name, peer(name)} {
		link, err := k.route.LinkByName(end)
		if err != nil {
			return err
		}
		if err := errors.Join(k.route.LinkSetARPOff(link), k.route.LinkSetUp(link)); err != nil {
			return fmt.Errorf("set %s up: %w", end, err)
		}
	}
	return nil
}
