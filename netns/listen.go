package netns

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

const portDNS = 53

// backlog is cut by the kernel to net.core.somaxconn of the namespace (4096).
const backlog = 4096

// Listeners are the sockets through which a bottle is served. They belong to its
// namespace and work in whatever process holds them. Each list has IPv4 first, then
// IPv6 where there is any. All are non-blocking and close-on-exec.
type Listeners struct {
	// TCP gets every connection that is not to the bottle itself and not to port 53.
	// The local address of an accepted connection is the destination that the program
	// asked for (IP_TRANSPARENT). The kernel keeps the SYN (TCP_SAVE_SYN).
	TCP []*os.File

	// DNSStream gets TCP to port 53 of any address, also in 127.0.0.0/8.
	DNSStream []*os.File

	// DNSPacket gets UDP to port 53 of any address. Each packet says its destination
	// (IP_PKTINFO, IPV6_PKTINFO), and an answer may have that as its source.
	DNSPacket []*os.File
}

// Files returns all sockets: TCP, DNSStream, DNSPacket.
func (l *Listeners) Files() []*os.File {
	var files []*os.File
	for _, list := range [][]*os.File{l.TCP, l.DNSStream, l.DNSPacket} {
		files = append(files, list...)
	}
	return files
}

// Close closes all sockets.
func (l *Listeners) Close() error {
	var errs []error
	for _, f := range l.Files() {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// Listen opens the listeners of the plan, all or none. This is done before the first
// program runs in the namespace: without SO_REUSEADDR and SO_REUSEPORT nobody can then
// bind the same addresses, or one in between (inet_csk_get_port in the kernel).
func (n *Namespace) Listen(p Plan) (_ *Listeners, err error) {
	l := new(Listeners)
	err = n.Do(func() error {
		families := []struct {
			any   netip.Addr
			proxy netip.AddrPort
		}{{netip.IPv4Unspecified(), p.Proxy4}}
		if p.Proxy6.IsValid() {
			families = append(families, struct {
				any   netip.Addr
				proxy netip.AddrPort
			}{netip.IPv6Unspecified(), p.Proxy6})
		}
		for _, family := range families {
			dns := netip.AddrPortFrom(family.any, portDNS)
			for _, s := range []struct {
				name string
				list *[]*os.File
				kind int
				addr netip.AddrPort
			}{
				{"tcp", &l.TCP, unix.SOCK_STREAM, family.proxy},
				{"dns-stream", &l.DNSStream, unix.SOCK_STREAM, dns},
				{"dns-packet", &l.DNSPacket, unix.SOCK_DGRAM, dns},
			} {
				f, err := n.listen(s.name, s.kind, s.addr)
				if err != nil {
					return fmt.Errorf("%s on %v: %w", s.name, s.addr, err)
				}
				*s.list = append(*s.list, f)
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen in the bottle: %w", err), l.Close())
	}
	return l, nil
}

func (n *Namespace) listen(name string, kind int, addr netip.AddrPort) (*os.File, error) {
	if err := n.fault("listen " + name + " " + addr.String()); err != nil {
		return nil, err
	}
	family := unix.AF_INET
	options := []option{{unix.SOL_IP, unix.IP_TRANSPARENT}}
	if addr.Addr().Is6() {
		family = unix.AF_INET6
		options = []option{{unix.SOL_IPV6, unix.IPV6_V6ONLY}, {unix.SOL_IPV6, unix.IPV6_TRANSPARENT}}
	}
	switch {
	case kind == unix.SOCK_STREAM:
		options = append(options, option{unix.SOL_TCP, unix.TCP_SAVE_SYN})
	case family == unix.AF_INET:
		options = append(options, option{unix.SOL_IP, unix.IP_PKTINFO})
	default:
		options = append(options, option{unix.SOL_IPV6, unix.IPV6_RECVPKTINFO})
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name+" "+addr.String())
	if err := bind(fd, kind, addr, options); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

type option struct{ level, name int }

func bind(fd, kind int, addr netip.AddrPort, options []option) error {
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, 1); err != nil {
			return fmt.Errorf("socket option %d of %d: %w", o.name, o.level, err)
		}
	}
	if err := unix.Bind(fd, sockaddr(addr)); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if kind != unix.SOCK_STREAM {
		return nil
	}
	return unix.Listen(fd, backlog)
}

func sockaddr(addr netip.AddrPort) unix.Sockaddr {
	if addr.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
}
