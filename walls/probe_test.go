package walls

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// probes are what a program in a bottle may try, each in a few system calls. The target
// is an address with a port. nil says that the kernel took it.
var probes = map[string]func(target string) error{
	"tcp":              connecting(unix.SOCK_STREAM, 0),
	"tcp-mapped":       mapped(unix.SOCK_STREAM, unix.IPPROTO_TCP),
	"tcp-fastopen":     fastOpen,
	"mptcp":            connecting(unix.SOCK_STREAM, unix.IPPROTO_MPTCP),
	"udp-connected":    connecting(unix.SOCK_DGRAM, unix.IPPROTO_UDP),
	"udp":              sending(unix.SOCK_DGRAM, unix.IPPROTO_UDP),
	"udp-mapped":       mapped(unix.SOCK_DGRAM, unix.IPPROTO_UDP),
	"udplite-connect":  connecting(unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE),
	"udplite":          sending(unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE),
	"ping":             ping,
	"raw-253":          sending(unix.SOCK_RAW, 253),
	"raw-udp":          sending(unix.SOCK_RAW, unix.IPPROTO_UDP),
	"raw-ipip":         sending(unix.SOCK_RAW, unix.IPPROTO_IPIP),
	"raw-gre":          sending(unix.SOCK_RAW, unix.IPPROTO_GRE),
	"raw-sctp":         sending(unix.SOCK_RAW, unix.IPPROTO_SCTP),
	"raw-header":       rawHeader(0),
	"raw-fragment":     rawHeader(0x2000),
	"raw-fragment-end": rawHeader(0x0001),
	"raw-dstopts":      sending(unix.SOCK_RAW, unix.IPPROTO_DSTOPTS),
	"raw-tcp-flags":    tcpFlags,
	"multicast-join":   joinGroup,
	"packet":           packet,
	"connect-holding":  holding,
	"mark":             marked,
	"device":           device,
	"reuseport":        reusePort,
	"freebind":         freebind,
	"repair":           repair,
	"flush":            flush,
	"reconnect":        reconnect,
	"io-uring":         uring,
	"sweep":            sweep,
}

var canary = []byte("canary-canary-canary")

func address(target string) (netip.AddrPort, int, unix.Sockaddr) {
	a := netip.MustParseAddrPort(target)
	if a.Addr().Is4() {
		return a, unix.AF_INET, &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return a, unix.AF_INET6, &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

func socket(family, kind, protocol int) (int, error) {
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return 0, fmt.Errorf("socket: %w", err)
	}
	// No probe waits for an answer longer than this.
	return fd, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Usec: 20_000})
}

// connect takes "still waiting for the other side" as success: the SYN is out.
func connect(fd int, to unix.Sockaddr) error {
	if err := unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

func connecting(kind, protocol int) func(string) error {
	return func(target string) error {
		_, family, to := address(target)
		fd, err := socket(family, kind, protocol)
		if err != nil {
			return err
		}
		if err := connect(fd, to); err != nil {
			return err
		}
		if kind == unix.SOCK_STREAM {
			return nil
		}
		if _, err := unix.Write(fd, canary); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		return nil
	}
}

func sending(kind, protocol int) func(string) error {
	return func(target string) error {
		_, family, to := address(target)
		if kind == unix.SOCK_RAW {
			clearPort(to)
		}
		fd, err := socket(family, kind, protocol)
		if err != nil {
			return err
		}
		if err := unix.Sendto(fd, canary, 0, to); err != nil {
			return fmt.Errorf("sendto: %w", err)
		}
		return nil
	}
}

// clearPort: a raw IPv6 socket takes the port for the protocol (net/ipv6/raw.c).
func clearPort(to unix.Sockaddr) {
	if to, ok := to.(*unix.SockaddrInet6); ok {
		to.Port = 0
	}
}

// mapped reaches an IPv4 target through an IPv6 socket.
func mapped(kind, protocol int) func(string) error {
	return func(target string) error {
		a := netip.MustParseAddrPort(target)
		to := &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
		fd, err := socket(unix.AF_INET6, kind, protocol)
		if err != nil {
			return err
		}
		if kind == unix.SOCK_STREAM {
			return connect(fd, to)
		}
		if err := unix.Sendto(fd, canary, 0, to); err != nil {
			return fmt.Errorf("sendto: %w", err)
		}
		return nil
	}
}

func fastOpen(target string) error {
	_, family, to := address(target)
	fd, err := socket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	err = unix.Sendto(fd, canary, unix.MSG_FASTOPEN, to)
	if err != nil && err != unix.EINPROGRESS && err != unix.EAGAIN {
		return fmt.Errorf("sendto: %w", err)
	}
	return nil
}

func ping(target string) error {
	_, family, to := address(target)
	protocol, echo := unix.IPPROTO_ICMP, byte(8)
	if family == unix.AF_INET6 {
		protocol, echo = unix.IPPROTO_ICMPV6, 128
	}
	fd, err := socket(family, unix.SOCK_DGRAM, protocol)
	if err != nil {
		return err
	}
	if err := unix.Sendto(fd, append([]byte{echo, 0, 0, 0, 0, 1, 0, 1}, canary...), 0, to); err != nil {
		return fmt.Errorf("sendto: %w", err)
	}
	return nil
}

// rawHeader sends a UDP packet with an IPv4 header of its own.
func rawHeader(fragment uint16) func(string) error {
	return func(target string) error {
		a, _, to := address(target)
		fd, err := socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
		if err != nil {
			return err
		}
		p := make([]byte, 28, 64)
		p[0], p[8], p[9] = 0x45, 64, unix.IPPROTO_UDP
		binary.BigEndian.PutUint16(p[6:], fragment)
		copy(p[16:], a.Addr().AsSlice())
		binary.BigEndian.PutUint16(p[22:], a.Port())
		binary.BigEndian.PutUint16(p[24:], uint16(8+len(canary)))
		if err := unix.Sendto(fd, append(p, canary...), 0, to); err != nil {
			return fmt.Errorf("sendto: %w", err)
		}
		return nil
	}
}

// joinGroup makes the kernel send a report that carries chosen bits. The target is the
// group.
func joinGroup(target string) error {
	a, _, _ := address(target)
	fd, err := socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	group := &unix.IPMreqn{Multiaddr: a.Addr().As4()}
	if wire, err := ifindex("wire"); err == nil {
		group.Ifindex = int32(wire)
	}
	if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, group); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	time.Sleep(50 * time.Millisecond) // the report may be delayed
	return nil
}

// packet sends an Ethernet payload on each interface.
func packet(target string) error {
	a, _, _ := address(target)
	fd, err := socket(unix.AF_PACKET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	p := make([]byte, 28, 64)
	p[0], p[8], p[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(p[2:], uint16(28+len(canary)))
	copy(p[16:], a.Addr().AsSlice())
	for index := 1; index < 8; index++ {
		err = unix.Sendto(fd, append(p, canary...), 0, &unix.SockaddrLinklayer{
			Protocol: 0x0008, Ifindex: index, Halen: 6, Addr: [8]byte{255, 255, 255, 255, 255, 255}})
		if err != nil && err != unix.ENXIO && err != unix.ENODEV && err != unix.ENETDOWN {
			return fmt.Errorf("sendto interface %d: %w", index, err)
		}
	}
	return nil
}

func ifindex(name string) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		return 0, err
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request)
	return int(request.Uint32()), err
}

// marked connects with marks that a proxy might use to let its own traffic pass.
func marked(target string) error {
	for _, mark := range []int{1, 2, 0x100, 0x162, 0xca6c, 0xffff, 0x40000, 0x7fffffff} {
		_, family, to := address(target)
		fd, err := socket(family, unix.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, mark); err != nil {
			return fmt.Errorf("mark: %w", err)
		}
		if err := connect(fd, to); err != nil {
			return err
		}
	}
	return nil
}

// device sends over each interface by name.
func device(target string) error {
	for _, name := range []string{"lo", "eth0", "wire"} {
		_, family, to := address(target)
		fd, err := socket(family, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		if err := unix.BindToDevice(fd, name); err == unix.ENODEV {
			continue
		} else if err != nil {
			return fmt.Errorf("device: %w", err)
		}
		if err := unix.Sendto(fd, canary, 0, to); err != nil && name != "lo" {
			return fmt.Errorf("sendto: %w", err)
		}
	}
	return nil
}

// holding connects, sends, and waits until the other side closes.
func holding(target string) error {
	_, family, to := address(target)
	fd, err := socket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := connect(fd, to); err != nil {
		return err
	}
	if _, err := unix.Write(fd, canary); err != nil {
		return err
	}
	_, err = unix.Read(fd, make([]byte, 1))
	return err
}

// tcpFlags forges segments that no connection has, as a NAT rule would skip them.
func tcpFlags(target string) error {
	a, family, to := address(target)
	clearPort(to)
	fd, err := socket(family, unix.SOCK_RAW, unix.IPPROTO_TCP)
	if err != nil {
		return err
	}
	for _, flags := range []byte{0x12, 0x04, 0x14, 0x01, 0x11, 0x00, 0x29, 0x03, 0x06, 0x3f, 0x10, 0x18, 0x02} {
		h := make([]byte, 20, 64)
		binary.BigEndian.PutUint16(h[0:], 40000)
		binary.BigEndian.PutUint16(h[2:], a.Port())
		h[12], h[13] = 5<<4, flags
		if err := unix.Sendto(fd, append(h, canary...), 0, to); err != nil {
			return fmt.Errorf("sendto: %w", err)
		}
	}
	return nil
}

// reusePort tries to share the address of a listener.
func reusePort(target string) error {
	_, family, to := address(target)
	fd, err := socket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	for _, option := range []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 1); err != nil {
			return err
		}
	}
	if err := setFreebind(fd, family); err != nil {
		return err
	}
	if err := unix.Bind(fd, to); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := unix.Listen(fd, 1); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return nil
}

// freebind takes an address that is somebody else's.
func freebind(target string) error {
	_, family, to := address(target)
	fd, err := socket(family, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	if err := setFreebind(fd, family); err != nil {
		return err
	}
	if err := unix.Bind(fd, to); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return nil
}

func setFreebind(fd, family int) error {
	if family == unix.AF_INET6 {
		return unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_FREEBIND, 1)
	}
	return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_FREEBIND, 1)
}

// repair forges an established connection and sends on it.
func repair(target string) error {
	_, family, to := address(target)
	fd, err := socket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_TCP, unix.TCP_REPAIR, 1); err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	if err := connect(fd, to); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_TCP, unix.TCP_REPAIR, 0); err != nil {
		return fmt.Errorf("repair off: %w", err)
	}
	_, err = unix.Write(fd, canary)
	return err
}

// flush removes all rules.
func flush(string) error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	conn.FlushRuleset()
	return conn.Flush()
}

// reconnect connects again and again from the same port, says who it is, and resets.
func reconnect(target string) error {
	_, family, to := address(target)
	var said [4]byte
	binary.NativeEndian.PutUint32(said[:], uint32(os.Getpid()))
	for i := range 400 {
		fd, err := socket(family, unix.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		err = errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
			unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}),
			unix.Bind(fd, &unix.SockaddrInet4{Port: 40000}),
		)
		// The other process may hold the port just now.
		if err == nil && unix.Connect(fd, to) == nil {
			unix.Write(fd, said[:])
			time.Sleep(time.Duration(i%4) * time.Millisecond) // some are looked up in time
		}
		unix.Close(fd)
	}
	return nil
}

// sweepPorts are every 13th port, and those that have a meaning to filters.
func sweepPorts() []uint16 {
	ports := []uint16{22, 25, 80, 443, 853, 2375, 5432, 6443, 8080, 9418, 65535}
	for port := 13; port < 1<<16; port += 13 {
		if !slices.Contains(ports, uint16(port)) {
			ports = append(ports, uint16(port))
		}
	}
	return ports
}

// sweep connects to each of the ports and waits for the other side to close.
func sweep(target string) error {
	a, family, _ := address(target)
	for _, port := range sweepPorts() {
		_, _, to := address(netip.AddrPortFrom(a.Addr(), port).String())
		fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		err = unix.Connect(fd, to)
		if err == nil {
			_, err = unix.Read(fd, make([]byte, 1))
		}
		unix.Close(fd)
		if err != nil {
			return fmt.Errorf("port %d: %w", port, err)
		}
	}
	return nil
}
