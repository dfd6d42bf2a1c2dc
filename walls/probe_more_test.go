package walls

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// More ways out, by options of sockets that change where or how a packet goes.
func init() {
	for name, probe := range map[string]func(string) error{
		"tcp-segment-routed": segmentRouted,
		"tcp-record-route":   withOptions([]byte{7, 7, 4, 0, 0, 0, 0, 0}),
		"tcp-source-route":   sourceRouted,
		"tcp-router-alert":   withOptions([]byte{148, 4, 0, 0}),
		"tcp-fastopen-late":  fastOpenLate,
		"udp-interface":      udpInterface,
		"udp-reconnected":    udpReconnected,
		"udp-segments":       udpSegments,
		"udp-spliced":        udpSpliced,
		"raw-header-6":       rawHeader6,
		"raw-frag-needed":    fragNeeded,
		"sockets":            sockets,
	} {
		probes[name] = probe
	}
	escapes = append(escapes, []escapeRow{
		{"K18", "TCP with a segment routing header", "tcp-segment-routed", 6, 9000, false},
		{"K19", "TCP that records its route", "tcp-record-route", 4, 9000, false},
		{"K19", "TCP with a router alert", "tcp-router-alert", 4, 9000, false},
		{"K24", "TCP with a source route", "tcp-source-route", 4, 9000, true},
		{"K10", "TCP Fast Open at the first write", "tcp-fastopen-late", 4, 9000, false},
		{"K33", "UDP over an interface of its choice", "udp-interface", 4, 443, false},
		{"T12", "UDP of a socket that was connected to a resolver", "udp-reconnected", 4, 443, false},
		{"T12", "UDP in segments", "udp-segments", 4, 443, false},
		{"T12", "UDP from a pipe", "udp-spliced", 4, 443, false},
		{"K03", "raw with an IPv6 header of its own", "raw-header-6", 6, 0, true},
		{"K66", "ICMP that says fragmentation is needed", "raw-frag-needed", 4, 0, true},
	}...)
}

// segmentRouted connects through a segment (RFC 8754): what is on the wire is for the
// target, what connect(2) was asked for is not.
func segmentRouted(target string) error {
	a, _, _ := address(target)
	fd, err := socket(unix.AF_INET6, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	final := netip.MustParseAddr("2001:db8:eeee::1").As16()
	first := a.Addr().As16()
	header := append([]byte{0, 4, 4, 1, 1, 0, 0, 0}, final[:]...)
	header = append(header, first[:]...)
	if err := unix.SetsockoptString(fd, unix.IPPROTO_IPV6, unix.IPV6_RTHDR, string(header)); err != nil {
		return fmt.Errorf("routing header: %w", err)
	}
	return connect(fd, &unix.SockaddrInet6{Addr: final, Port: int(a.Port())})
}

// withOptions connects with options in the IPv4 header (RFC 791 section 3.1).
func withOptions(options []byte) func(string) error {
	return func(target string) error {
		_, _, to := address(target)
		fd, err := socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		if err := unix.SetsockoptString(fd, unix.IPPROTO_IP, unix.IP_OPTIONS, string(options)); err != nil {
			return fmt.Errorf("options: %w", err)
		}
		return connect(fd, to)
	}
}

// sourceRouted connects to a resolver's address by way of the target.
func sourceRouted(target string) error {
	a, _, _ := address(target)
	hop := a.Addr().As4()
	fd, err := socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptString(fd, unix.IPPROTO_IP, unix.IP_OPTIONS, string(append([]byte{131, 7, 4}, append(hop[:], 0)...))); err != nil {
		return fmt.Errorf("source route: %w", err)
	}
	return connect(fd, &unix.SockaddrInet4{Addr: [4]byte{8, 8, 8, 8}, Port: 53})
}

func fastOpenLate(target string) error {
	_, family, to := address(target)
	fd, err := socket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_TCP, unix.TCP_FASTOPEN_CONNECT, 1); err != nil {
		return fmt.Errorf("option: %w", err)
	}
	if err := connect(fd, to); err != nil {
		return err
	}
	if _, err := unix.Write(fd, canary); err != nil && err != unix.EINPROGRESS && err != unix.EAGAIN {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// udpInterface sends over each interface by its number, as IP_PKTINFO says.
func udpInterface(target string) error {
	_, _, to := address(target)
	fd, err := socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	sent := error(unix.ENODEV)
	for index := 1; index < 8; index++ {
		info := unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: int32(index)})
		if err := unix.Sendmsg(fd, canary, info, to, 0); err == nil {
			sent = nil
		} else if sent != nil && err != unix.ENODEV {
			sent = fmt.Errorf("sendmsg over interface %d: %w", index, err)
		}
	}
	return sent
}

// udpReconnected takes a socket that may talk to a resolver to somewhere else.
func udpReconnected(target string) error {
	_, _, to := address(target)
	fd, err := socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	if err := connect(fd, &unix.SockaddrInet4{Addr: [4]byte{8, 8, 8, 8}, Port: 53}); err != nil {
		return err
	}
	said := unix.Sendto(fd, canary, 0, to)
	if err := connect(fd, to); err != nil {
		return err
	}
	if _, err := unix.Write(fd, canary); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return said
}

func udpSegments(target string) error {
	_, _, to := address(target)
	fd, err := socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	const udpSegment = 103 // UDP_SEGMENT of linux/udp.h
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_UDP, udpSegment, 8); err != nil {
		return fmt.Errorf("option: %w", err)
	}
	if err := unix.Sendto(fd, canary, 0, to); err != nil {
		return fmt.Errorf("sendto: %w", err)
	}
	return nil
}

// udpSpliced fills a connected socket from a pipe: no sendto(2) names the target.
func udpSpliced(target string) error {
	_, _, to := address(target)
	fd, err := socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	if err := connect(fd, to); err != nil {
		return err
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	if _, err := unix.Write(pipe[1], canary); err != nil {
		return err
	}
	if _, err := unix.Splice(pipe[0], nil, fd, nil, len(canary), 0); err != nil {
		return fmt.Errorf("splice: %w", err)
	}
	return nil
}

// rawHeader6 sends a UDP packet with an IPv6 header of its own (RFC 3542 section 3).
func rawHeader6(target string) error {
	a, _, to := address(target)
	clearPort(to)
	fd, err := socket(unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	p := make([]byte, 48, 80)
	p[0], p[6], p[7] = 0x60, unix.IPPROTO_UDP, 64
	binary.BigEndian.PutUint16(p[4:], uint16(8+len(canary)))
	copy(p[8:], netip.MustParseAddr("2001:db8:eeee::2").AsSlice())
	copy(p[24:], a.Addr().AsSlice())
	binary.BigEndian.PutUint16(p[42:], 443)
	binary.BigEndian.PutUint16(p[44:], uint16(8+len(canary)))
	if err := unix.Sendto(fd, append(p, canary...), 0, to); err != nil {
		return fmt.Errorf("sendto: %w", err)
	}
	return nil
}

// fragNeeded sends the error by which a host lowers its idea of a path (RFC 1191), with
// bits of the sender's choice in it.
func fragNeeded(target string) error {
	a, _, to := address(target)
	fd, err := socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)
	if err != nil {
		return err
	}
	p := []byte{3, 4, 0, 0, 0, 0, 2, 0, 0x45, 0, 0, 28, 0, 0, 0x40, 0, 64, unix.IPPROTO_UDP, 0, 0}
	p = append(append(p, a.Addr().AsSlice()...), 8, 8, 8, 8)
	if err := unix.Sendto(fd, append(p, canary...), 0, to); err != nil {
		return fmt.Errorf("sendto: %w", err)
	}
	return nil
}

// sockets makes as many sockets as it can, and keeps them.
func sockets(string) error {
	for n := range 1 << 15 {
		if _, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return fmt.Errorf("after %d sockets: %w", n, err)
		}
	}
	return nil
}
