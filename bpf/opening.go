package bpf

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// Opening is what an enforcer may reach on one port, by TCP.
type Opening struct {
	Port uint16
	// To is a range, private addresses, loopback and the host's own in it included. The
	// zero Prefix is every public address.
	To netip.Prefix
}

// Reach is what an enforcer may reach. The zero Reach is nothing.
type Reach struct {
	Openings  []Opening
	Resolvers []netip.AddrPort // of names: over UDP and TCP, wherever they are
}

// And returns what either reaches.
func (r Reach) And(other Reach) Reach {
	return Reach{slices.Concat(r.Openings, other.Openings), slices.Concat(r.Resolvers, other.Resolvers)}
}

// scope is how far an opening goes. The values are those of src/reach.h; of two, the
// higher allows all that the lower does.
type scope uint8

const (
	toPublic scope = iota + 1
	toPrivate
	toResolver
)

// maxOpenings is REACH_MAX of src/reach.h.
const maxOpenings = 1 << 16

// openingKey is struct opening of src/reach.h.
type openingKey struct {
	Bits    uint32
	Port    uint32
	Address [4]uint32
}

// anywhere is every address. A table has at most one entry a port for it.
var anywhere = netip.PrefixFrom(netip.IPv6Unspecified(), 0)

// table lays r out as the programs see it.
func (r Reach) table() (map[openingKey]scope, error) {
	t := make(map[openingKey]scope)
	add := func(port uint16, p netip.Prefix, s scope) {
		k := openingKey{Bits: 32 + uint32(bitsOf(p)), Port: uint32(port), Address: words(p.Addr())}
		t[k] = max(t[k], s)
	}
	for _, o := range r.Openings {
		if o.To.IsValid() {
			add(o.Port, o.To.Masked(), toPrivate)
			continue
		}
		add(o.Port, anywhere, toPublic)
	}
	for _, a := range r.Resolvers {
		addr := a.Addr().Unmap().WithZone("")
		add(a.Port(), netip.PrefixFrom(addr, addr.BitLen()), toResolver)
	}
	if len(t) > maxOpenings {
		return nil, fmt.Errorf("what the enforcer may reach takes %d entries, at most %d are possible: use fewer ports or ranges", len(t), maxOpenings)
	}
	return t, nil
}

// reachOf is what a table lets through.
func reachOf(t map[openingKey]scope) Reach {
	var r Reach
	for k, s := range t {
		addr, port, bits := address(k.Address), uint16(k.Port), int(k.Bits)-32
		switch {
		case s == toResolver:
			r.Resolvers = append(r.Resolvers, netip.AddrPortFrom(addr, port))
		case s == toPublic:
			r.Openings = append(r.Openings, Opening{Port: port})
		case addr.Is4() && bits >= 96:
			r.Openings = append(r.Openings, Opening{port, netip.PrefixFrom(addr, bits-96)})
		default:
			r.Openings = append(r.Openings, Opening{port, netip.PrefixFrom(addr, bits)})
		}
	}
	slices.SortFunc(r.Openings, func(a, b Opening) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), a.To.Addr().Compare(b.To.Addr()), cmp.Compare(a.To.Bits(), b.To.Bits()))
	})
	slices.SortFunc(r.Resolvers, netip.AddrPort.Compare)
	return r
}

// String says it in few words, the same for the same Reach.
func (o Opening) String() string {
	if !o.To.IsValid() {
		return fmt.Sprintf("port %d of public addresses", o.Port)
	}
	return fmt.Sprintf("port %d of %s", o.Port, o.To)
}
