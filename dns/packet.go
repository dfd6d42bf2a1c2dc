package dns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// ServePacket answers the queries that reach conn until the server or conn is
// closed. conn is a socket of one family, IPv4 or IPv6, with IP_TRANSPARENT or
// IPV6_TRANSPARENT set: an answer goes out from the address that the query went
// to, whichever it was, or the program's resolver would not take it.
func (s *Server) ServePacket(conn *net.UDPConn) error {
	release, ok := s.track(conn)
	if !ok {
		return nil
	}
	defer release()
	local, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return fmt.Errorf("dns: %w", err)
	}
	read, write, err := pinned(conn, local.Addr().Is4())
	if err != nil {
		return fmt.Errorf("dns: %w", err)
	}
	in, out := make([]byte, udpSize+1), make([]byte, 0, udpSize)
	for {
		if s.limit.Wait(s.ctx) != nil {
			return nil
		}
		n, dst, src, err := read(in)
		switch {
		case closed(err):
			return nil
		case transient(err):
			continue
		case err != nil:
			return fmt.Errorf("dns: %w", err)
		}
		if n > udpSize || !dst.IsValid() {
			continue
		}
		from, err := netip.ParseAddrPort(src.String())
		if err != nil {
			continue
		}
		msg := s.respond(out, in[:n], from, netip.AddrPortFrom(dst, local.Port()))
		if msg == nil {
			continue
		}
		// The asking socket may be gone, or its buffer full: its loss alone.
		if err := write(msg, dst, src); closed(err) {
			return nil
		}
	}
}

type (
	readFunc  func(b []byte) (n int, dst netip.Addr, src net.Addr, err error)
	writeFunc func(b []byte, from netip.Addr, to net.Addr) error
)

// pinned returns how to read a packet with the address it was sent to, and how to
// send one from an address of our choice (IP_PKTINFO, ip(7); IPV6_PKTINFO, RFC 3542).
func pinned(conn *net.UDPConn, v4 bool) (readFunc, writeFunc, error) {
	if v4 {
		p := ipv4.NewPacketConn(conn)
		read := func(b []byte) (int, netip.Addr, net.Addr, error) {
			n, cm, src, err := p.ReadFrom(b)
			if err != nil || cm == nil {
				return n, netip.Addr{}, src, err
			}
			dst, _ := netip.AddrFromSlice(cm.Dst.To4())
			return n, dst, src, nil
		}
		write := func(b []byte, from netip.Addr, to net.Addr) error {
			_, err := p.WriteTo(b, &ipv4.ControlMessage{Src: from.AsSlice()}, to)
			return err
		}
		return read, write, p.SetControlMessage(ipv4.FlagDst, true)
	}
	p := ipv6.NewPacketConn(conn)
	read := func(b []byte) (int, netip.Addr, net.Addr, error) {
		n, cm, src, err := p.ReadFrom(b)
		if err != nil || cm == nil {
			return n, netip.Addr{}, src, err
		}
		dst, _ := netip.AddrFromSlice(cm.Dst)
		return n, dst, src, nil
	}
	write := func(b []byte, from netip.Addr, to net.Addr) error {
		_, err := p.WriteTo(b, &ipv6.ControlMessage{Src: from.AsSlice()}, to)
		return err
	}
	return read, write, p.SetControlMessage(ipv6.FlagDst, true)
}

// transient reports whether err is an error that the kernel queued for an earlier packet or
// a shortage that passes.
func transient(err error) bool {
	for _, e := range []error{
		syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EPERM,
		syscall.ENOBUFS, syscall.ENOMEM, syscall.EMSGSIZE,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
