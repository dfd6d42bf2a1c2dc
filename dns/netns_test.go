package dns

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// namespace is a network namespace in which every address is local, as in a
// bottle, and in which nobody answers but the test.
type namespace struct{ do chan func() }

// newNamespace makes one, with a thread of its own that dies with it.
func newNamespace(t *testing.T) *namespace {
	t.Helper()
	ns := &namespace{make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		ready <- everythingLocal()
		for f := range ns.do {
			f()
		}
	}()
	if err := <-ready; err != nil {
		t.Fatalf("network namespace (the test runs as root): %v", err)
	}
	t.Cleanup(func() { close(ns.do) })
	return ns
}

func everythingLocal() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	own := &net.IPNet{IP: net.IPv4(100, 64, 0, 2), Mask: net.CIDRMask(32, 32)}
	if err := netlink.AddrAdd(lo, &netlink.Addr{IPNet: own}); err != nil {
		return err
	}
	for _, dst := range []string{"0.0.0.0/0", "::/0"} {
		_, all, _ := net.ParseCIDR(dst)
		err := netlink.RouteAdd(&netlink.Route{
			LinkIndex: lo.Attrs().Index, Dst: all,
			Type: unix.RTN_LOCAL, Scope: unix.RT_SCOPE_HOST, Table: unix.RT_TABLE_LOCAL,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// run runs f on the namespace's thread. Sockets that f makes stay in the namespace.
func (ns *namespace) run(f func()) {
	done := make(chan struct{})
	ns.do <- func() { defer close(done); f() }
	<-done
}

// dial dials in the namespace.
func (ns *namespace) dial(network, addr string) (conn net.Conn, err error) {
	ns.run(func() {
		to := netip.MustParseAddrPort(addr)
		if network == "udp" {
			conn, err = net.DialUDP(network, nil, net.UDPAddrFromAddrPort(to))
		} else {
			conn, err = net.DialTCP(network, nil, net.TCPAddrFromAddrPort(to))
		}
	})
	return conn, err
}

// serve starts a server on port 53 of the namespace, on both families and transports.
func (ns *namespace) serve(t *testing.T, s *Server) {
	t.Helper()
	transparent := net.ListenConfig{Control: func(network, _ string, c syscall.RawConn) error {
		var err error
		c.Control(func(fd uintptr) {
			level, option := unix.SOL_IP, unix.IP_TRANSPARENT
			if network[len(network)-1] == '6' {
				level, option = unix.SOL_IPV6, unix.IPV6_TRANSPARENT
			}
			err = unix.SetsockoptInt(int(fd), level, option, 1)
		})
		return err
	}}
	ns.run(func() {
		for _, suffix := range []string{"4", "6"} {
			host := map[string]string{"4": "0.0.0.0:53", "6": "[::]:53"}[suffix]
			pc, err := transparent.ListenPacket(context.Background(), "udp"+suffix, host)
			if err != nil {
				t.Error(err)
				return
			}
			ln, err := transparent.Listen(context.Background(), "tcp"+suffix, host)
			if err != nil {
				t.Error(err)
				return
			}
			go func() {
				if err := s.ServePacket(pc.(*net.UDPConn)); err != nil {
					t.Errorf("ServePacket: %v", err)
				}
			}()
			go func() {
				if err := s.ServeStream(ln); err != nil {
					t.Errorf("ServeStream: %v", err)
				}
			}()
		}
	})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}
