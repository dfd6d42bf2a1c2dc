package walls

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"bottled/bpf"
	"bottled/netns"
	"bottled/proxy/gate"
)

func init() { probes["map-of-reach"] = mapOfReach }

// edges are where the kind of an address changes, or might have been mistaken: two in
// each /16 of IPv4 and of IPv6, and both sides of every end of a smaller range.
func edges() []netip.Addr {
	var all []netip.Addr
	for i := range 1 << 16 {
		var v4 [4]byte
		binary.BigEndian.PutUint16(v4[:], uint16(i))
		all = append(all, netip.AddrFrom4(v4), netip.AddrFrom4([4]byte{v4[0], v4[1], 255, 255}))
		var v6 [16]byte
		binary.BigEndian.PutUint16(v6[:], uint16(i))
		all = append(all, netip.AddrFrom16(v6))
		v6[15] = 1
		all = append(all, netip.AddrFrom16(v6))
	}
	for _, s := range []string{
		"192.0.0.0/24", "192.0.2.0/24", "192.0.0.192/32", "192.88.99.0/24", "198.51.100.0/24", "203.0.113.0/24",
		"100.100.100.200/32", "168.63.129.16/32", "169.254.169.254/32", "100.64.0.0/10", "198.18.0.0/15",
		"::/128", "::1/128", "::127.0.0.1/128", "::ffff:0:10.0.0.1/128", "64:ff9b::/96", "64:ff9b:1::/48", "64:ff9b::10.0.0.0/104", "64:ff9b::169.254.169.254/128",
		"64:ff9b::100.100.100.200/128", "64:ff9b::198.41.0.4/128", "64:ff9b::7f00:0/104", "2001::/23", "2001:200::/23", "2001:db8::/32", "3fff::/20", "100::/64",
		"fd00:ec2::/32", "fd20:ce::254/128", "fd00:c1::a9fe:a9fe/128", "fd00::/8", "fe80::/10", "fec0::/10",
	} {
		p := netip.MustParsePrefix(s).Masked()
		all = append(all, p.Addr())
		if before := p.Addr().Prev(); before.IsValid() {
			all = append(all, before)
		}
		last := p.Addr().AsSlice()
		for bit := p.Bits(); bit < len(last)*8; bit++ {
			last[bit/8] |= 0x80 >> (bit % 8)
		}
		end, _ := netip.AddrFromSlice(last)
		all = append(all, end)
		if after := end.Next(); after.IsValid() {
			all = append(all, after)
		}
	}
	return all
}

// mapOfReach answers, as an error, which of the edges a socket may connect to. It runs in
// a namespace without a route to anywhere.
func mapOfReach(string) error {
	var fds [2]int
	for i, family := range []int{unix.AF_INET, unix.AF_INET6} {
		fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		fds[i] = fd
	}
	all := edges()
	said := make([]byte, len(all))
	for i, a := range all {
		_, family, to := address(netip.AddrPortFrom(a, 443).String())
		fd := fds[0]
		if family == unix.AF_INET6 {
			fd = fds[1]
		}
		switch err := unix.Connect(fd, to); err {
		case unix.EPERM:
			said[i] = 'n'
		default: // whatever the namespace says of it, the hook let it pass
			said[i] = 'y'
		}
	}
	return errors.New(string(said))
}

// The fence and the dial gate have a list of special addresses each, and know nothing of
// the other's. They must agree about every address, or one of them is wrong.
func TestFenceAgreesWithTheGate(t *testing.T) {
	everywhere := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	nowhere, err := netns.New()
	must(t, err)
	defer nowhere.Close()
	all := edges()
	for name, allow := range map[string][]netip.Prefix{"nothing opened": nil, "all opened": everywhere} {
		reach := bpf.Reach{Openings: []bpf.Opening{{Port: 443}}}
		for _, p := range allow {
			reach.Openings = append(reach.Openings, bpf.Opening{Port: 443, To: p})
		}
		group := newGroup(t)
		fence(t, group, reach)
		said := actor{ns: nowhere, cg: group}.run(t, "map-of-reach", "").Error()
		if len(said) != len(all) {
			t.Fatalf("%s: %d answers to %d questions", name, len(said), len(all))
		}
		open := 0
		for i, a := range all {
			refused := gate.Refuse(a, allow, nil)
			if (refused == nil) != (said[i] == 'y') {
				t.Errorf("%s: %s: the fence says %c, the gate: %v", name, a, said[i], refused)
			}
			if refused == nil {
				open++
			}
		}
		if open == 0 || open == len(all) {
			t.Errorf("%s: the gate opens %d of %d", name, open, len(all))
		}
	}
}
