package netns

import (
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The words of the rules. Each match loads into register 1 and compares; a rule goes
// on to its next expression only when the comparison holds.

const register = 1

func join(lists ...[]expr.Any) rule {
	var r rule
	for _, l := range lists {
		r = append(r, l...)
	}
	return r
}

func meta(key expr.MetaKey) expr.Any { return &expr.Meta{Key: key, Register: register} }

func iif() expr.Any { return meta(expr.MetaKeyIIF) }
func oif() expr.Any { return meta(expr.MetaKeyOIF) }

func is(data ...byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: data}
}

func isNot(index uint32) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpNeq, Register: register, Data: binaryutil.NativeEndian.PutUint32(index)}
}

// l4 looks at the protocol behind all IPv6 extension headers, unlike the next header
// field.
func l4(protocol byte) []expr.Any { return []expr.Any{meta(expr.MetaKeyL4PROTO), is(protocol)} }

func tcp() []expr.Any { return l4(unix.IPPROTO_TCP) }
func udp() []expr.Any { return l4(unix.IPPROTO_UDP) }

func family(f byte) []expr.Any { return []expr.Any{meta(expr.MetaKeyNFPROTO), is(f)} }

// port compares the destination port, which TCP and UDP have in the same place.
func port(n uint16) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		is(binaryutil.BigEndian.PutUint16(n)...),
	}
}

// to compares the destination address.
func to(p netip.Prefix) []expr.Any {
	proto, offset := byte(unix.NFPROTO_IPV4), uint32(16)
	if p.Addr().Is6() {
		proto, offset = unix.NFPROTO_IPV6, 24
	}
	size := uint32(p.Addr().BitLen() / 8)
	match := join(family(proto), []expr.Any{
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size},
	})
	if p.Bits() < p.Addr().BitLen() {
		mask := make([]byte, size)
		for i := range p.Bits() {
			mask[i/8] |= 0x80 >> (i % 8)
		}
		match = append(match, &expr.Bitwise{SourceRegister: register, DestRegister: register, Len: size, Mask: mask, Xor: make([]byte, size)})
	}
	return append(match, is(p.Masked().Addr().AsSlice()...))
}

// own accepts what is to the bottle itself.
func own(p Plan) []rule {
	rules := []rule{
		join(to(netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8)), accept()),
		join(to(netip.PrefixFrom(netip.IPv6Loopback(), 128)), accept()),
	}
	for _, a := range p.Addresses() {
		rules = append(rules, join(to(netip.PrefixFrom(a, a.BitLen())), accept()))
	}
	return rules
}

// fragment4 drops what has more fragments or is not the first (RFC 791, 3.1).
func fragment4() rule {
	return join(family(unix.NFPROTO_IPV4), []expr.Any{
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: 6, Len: 2},
		&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: 2, Mask: []byte{0x3f, 0xff}, Xor: []byte{0, 0}},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: register, Data: []byte{0, 0}},
		drop(),
	})
}

// fragment6 drops what has a fragment header (RFC 8200, 4.5).
func fragment6() rule {
	return join(family(unix.NFPROTO_IPV6), []expr.Any{
		&expr.Exthdr{DestRegister: register, Type: unix.IPPROTO_FRAGMENT, Len: 1, Op: expr.ExthdrOpIpv6, Flags: unix.NFT_EXTHDR_F_PRESENT},
		is(1),
		drop(),
	})
}

// tproxy hands every TCP connection to the listeners.
func tproxy(p Plan) []rule {
	rules := []rule{redirect(unix.NFPROTO_IPV4, p.Proxy4)}
	if p.Proxy6.IsValid() {
		rules = append(rules, redirect(unix.NFPROTO_IPV6, p.Proxy6))
	}
	return rules
}

func redirect(f byte, listener netip.AddrPort) rule {
	const portRegister = 2
	return join(family(f), tcp(), []expr.Any{
		&expr.Immediate{Register: register, Data: listener.Addr().AsSlice()},
		&expr.Immediate{Register: portRegister, Data: binaryutil.BigEndian.PutUint16(listener.Port())},
		&expr.TProxy{Family: f, TableFamily: byte(nftables.TableFamilyINet), RegAddr: register, RegPort: portRegister},
		&expr.Verdict{Kind: expr.VerdictAccept},
	})
}

func accept() []expr.Any { return []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}} }
func drop() expr.Any     { return &expr.Verdict{Kind: expr.VerdictDrop} }

func reject() []expr.Any {
	return []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED}}
}

// text shows an expression, the same for one that was made here and one that was read
// from the kernel.
func text(e expr.Any) string {
	switch e := e.(type) {
	case *expr.Meta:
		return fmt.Sprintf("meta %s", metaName(e))
	case *expr.Payload:
		return fmt.Sprintf("payload %d@%d+%d", e.Len, e.Base, e.Offset)
	case *expr.Bitwise:
		return fmt.Sprintf("and %x xor %x", e.Mask, e.Xor)
	case *expr.Exthdr:
		return fmt.Sprintf("exthdr %d flags %d", e.Type, e.Flags)
	case *expr.Cmp:
		op := "=="
		if e.Op != expr.CmpOpEq {
			op = fmt.Sprintf("op%d", e.Op)
		}
		if e.Op == expr.CmpOpNeq {
			op = "!="
		}
		return fmt.Sprintf("%s %x", op, e.Data)
	case *expr.Immediate:
		return fmt.Sprintf("load %x", e.Data)
	case *expr.Reject:
		return fmt.Sprintf("reject type %d code %d", e.Type, e.Code)
	case *expr.Verdict:
		return verdict(e)
	default:
		return fmt.Sprintf("%T %+v", e, e)
	}
}

func metaName(e *expr.Meta) string {
	names := map[expr.MetaKey]string{
		expr.MetaKeyIIF:     "iif",
		expr.MetaKeyOIF:     "oif",
		expr.MetaKeyL4PROTO: "l4proto",
		expr.MetaKeyNFPROTO: "nfproto",
	}
	name, ok := names[e.Key]
	if !ok || e.SourceRegister {
		return fmt.Sprintf("%+v", *e)
	}
	return name
}

func verdict(e *expr.Verdict) string {
	switch e.Kind {
	case expr.VerdictAccept:
		return "accept"
	case expr.VerdictDrop:
		return "drop"
	}
	return fmt.Sprintf("verdict %d %s", e.Kind, e.Chain)
}
