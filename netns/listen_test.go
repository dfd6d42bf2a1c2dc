package netns

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// bottle is a namespace with its listeners.
func bottle(t *testing.T) (*Namespace, *Listeners) {
	t.Helper()
	n := create(t, Default())
	l, err := n.Listen(Default())
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return n, l
}

// dial connects from inside.
func dial(n *Namespace, network, addr string) (conn net.Conn, err error) {
	ip := netip.MustParseAddrPort(addr)
	err = n.Do(func() error {
		// In this thread: the net package would connect in another one.
		family, sa := unix.AF_INET, sockaddr(ip)
		if ip.Addr().Is6() {
			family = unix.AF_INET6
		}
		kind := unix.SOCK_STREAM
		if network == "udp" {
			kind = unix.SOCK_DGRAM
		}
		fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		f := os.NewFile(uintptr(fd), addr)
		defer f.Close()
		if err := unix.Connect(fd, sa); err != nil {
			return err
		}
		conn, err = net.FileConn(f)
		return err
	})
	return conn, err
}

func accept1(t *testing.T, f *os.File) net.Conn {
	t.Helper()
	l, err := net.FileListener(f)
	must(t, err)
	defer l.Close()
	must(t, l.(*net.TCPListener).SetDeadline(time.Now().Add(5*time.Second)))
	c, err := l.Accept()
	must(t, err)
	return c
}

// The listener has the address that was asked for, whatever it is.
func TestEveryDestinationIsTaken(t *testing.T) {
	n, l := bottle(t)
	for _, to := range []string{
		"1.2.3.4:1", "8.8.8.8:443", "10.0.0.1:22", "169.254.169.254:80", "198.18.0.1:80", "100.64.0.1:1", "192.168.1.1:65535",
		"[2001:db8::1]:65535", "[2606:4700::1111]:443", "[fd00::1]:22", "[64:ff9b::a9fe:a9fe]:80", "[fd62:6f74:746c:6564::1]:1",
	} {
		list := 0
		if to[0] == '[' {
			list = 1
		}
		inside, err := dial(n, "tcp", to)
		if err != nil {
			t.Errorf("%s: %v", to, err)
			continue
		}
		outside := accept1(t, l.TCP[list])
		if got := outside.LocalAddr().String(); got != to {
			t.Errorf("%s: taken as %s", to, got)
		}
		if _, err := outside.Write([]byte("hello")); err != nil {
			t.Error(err)
		}
		buf := make([]byte, 5)
		if n, err := inside.Read(buf); string(buf[:n]) != "hello" {
			t.Errorf("%s: %q, %v", to, buf[:n], err)
		}
		inside.Close()
		outside.Close()
	}
}

// TCP to port 53 is for the name server, also at a resolver's loopback address.
func TestDNSStream(t *testing.T) {
	n, l := bottle(t)
	for _, to := range []string{"8.8.8.8:53", "127.0.0.53:53", "100.64.0.2:53", "[2001:4860:4860::8888]:53", "[::1]:53"} {
		list := 0
		if to[0] == '[' {
			list = 1
		}
		inside, err := dial(n, "tcp", to)
		if err != nil {
			t.Errorf("%s: %v", to, err)
			continue
		}
		outside := accept1(t, l.DNSStream[list])
		if got := outside.LocalAddr().String(); got != to {
			t.Errorf("%s: taken as %s", to, got)
		}
		inside.Close()
		outside.Close()
	}
}

// A query to any address is answered from that address: a connected socket takes no
// answer from another.
func TestDNSPacket(t *testing.T) {
	n, l := bottle(t)
	for _, to := range []string{"8.8.8.8:53", "127.0.0.53:53", "127.0.0.1:53", "100.64.0.2:53", "203.0.113.7:53"} {
		query(t, n, to, func() {
			c, err := net.FilePacketConn(l.DNSPacket[0])
			must(t, err)
			defer c.Close()
			p := ipv4.NewPacketConn(c)
			must(t, p.SetControlMessage(ipv4.FlagDst, true)) // only tells p: the option is set
			must(t, p.SetReadDeadline(time.Now().Add(5*time.Second)))
			buf := make([]byte, 100)
			size, cm, from, err := p.ReadFrom(buf)
			must(t, err)
			_, err = p.WriteTo(buf[:size], &ipv4.ControlMessage{Src: cm.Dst}, from)
			must(t, err)
		})
	}
	for _, to := range []string{"[2001:4860:4860::8888]:53", "[::1]:53", "[fd62:6f74:746c:6564::2]:53"} {
		query(t, n, to, func() {
			c, err := net.FilePacketConn(l.DNSPacket[1])
			must(t, err)
			defer c.Close()
			p := ipv6.NewPacketConn(c)
			must(t, p.SetControlMessage(ipv6.FlagDst, true))
			must(t, p.SetReadDeadline(time.Now().Add(5*time.Second)))
			buf := make([]byte, 100)
			size, cm, from, err := p.ReadFrom(buf)
			must(t, err)
			_, err = p.WriteTo(buf[:size], &ipv6.ControlMessage{Src: cm.Dst}, from)
			must(t, err)
		})
	}
}

func query(t *testing.T, n *Namespace, to string, answer func()) {
	t.Helper()
	c, err := dial(n, "udp", to)
	if err != nil {
		t.Errorf("%s: %v", to, err)
		return
	}
	defer c.Close()
	if _, err := c.Write([]byte("query")); err != nil {
		t.Errorf("%s: %v", to, err)
		return
	}
	answer()
	must(t, c.SetReadDeadline(time.Now().Add(5*time.Second)))
	buf := make([]byte, 100)
	if size, err := c.Read(buf); string(buf[:size]) != "query" {
		t.Errorf("%s: %q, %v", to, buf[:size], err)
	}
}

// Servers of the bottle are reached by the bottle, at loopback and at its own address.
func TestOwnServers(t *testing.T) {
	n, _ := bottle(t)
	for _, at := range []string{"127.0.0.1:8080", "127.9.9.9:80", "[::1]:8080", "100.64.0.2:8080", "[fd62:6f74:746c:6564::2]:80", "0.0.0.0:3000", "[::]:3001"} {
		var l net.Listener
		must(t, n.Do(func() (err error) { l, err = net.Listen("tcp", at); return err }))
		c, err := dial(n, "tcp", l.Addr().String())
		if err != nil {
			t.Errorf("%s: %v", at, err)
		} else {
			c.Close()
		}
		l.Close()
	}
	if _, err := dial(n, "tcp", "127.0.0.1:9"); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("no server: %v", err)
	}
	var server net.PacketConn
	must(t, n.Do(func() (err error) { server, err = net.ListenPacket("udp", "127.0.0.1:0"); return err }))
	defer server.Close()
	query(t, n, server.LocalAddr().String(), func() {
		buf := make([]byte, 100)
		size, from, err := server.ReadFrom(buf)
		must(t, err)
		_, err = server.WriteTo(buf[:size], from)
		must(t, err)
	})
}

// What does not work fails at once, so that a program goes on to something that does.
func TestRefusedAtOnce(t *testing.T) {
	n, _ := bottle(t)
	for _, to := range []string{"1.1.1.1:443", "239.255.255.250:1900", "255.255.255.255:67", "[2606:4700::1111]:443", "[ff02::fb]:5353"} {
		start := time.Now()
		c, err := dial(n, "udp", to)
		if err == nil {
			_, err = c.Write([]byte("x"))
			c.Close()
		}
		if err == nil {
			t.Errorf("%s: sent", to)
		}
		if d := time.Since(start); d > 500*time.Millisecond {
			t.Errorf("%s: took %v", to, d)
		}
	}
}

// The kernel answers no ping to the world, though every address is local.
func TestNoPing(t *testing.T) {
	n, _ := bottle(t)
	var fd int
	must(t, n.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
		return err
	}))
	defer unix.Close(fd)
	echo := []byte{8, 0, 0xf7, 0xfd, 0, 1, 0, 1}
	if err := unix.Sendto(fd, echo, 0, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Errorf("loopback is the bottle's: %v", err)
	}
	if err := unix.Sendto(fd, echo, 0, &unix.SockaddrInet4{Addr: [4]byte{8, 8, 8, 8}}); !errors.Is(err, unix.EPERM) {
		t.Errorf("got %v", err)
	}
}
