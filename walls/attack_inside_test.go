package walls

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bottled/attack"
	"bottled/bpf"
	"bottled/netns"
)

// The address of the listeners cannot be shared, by whatever socket option.
func TestAttackListenerHijack(t *testing.T) {
	free, plan := newBottle(t)
	bottle, _ := served(t)
	for _, to := range []string{plan.Proxy4.String(), plan.Proxy6.String(), "0.0.0.0:1", "127.0.0.53:53", "8.8.8.8:53", "[::]:53"} {
		attack.Stopped(t, "K58", "listen at "+to,
			func(t *testing.T) error { return actor{ns: free}.run(t, "reuseport", to) },
			func(t *testing.T) error { return actor{ns: bottle}.run(t, "reuseport", to) })
	}
}

// The rules cannot be changed from inside without capabilities.
func TestAttackRules(t *testing.T) {
	scrap, plan := newBottle(t)
	bottle, _ := served(t)
	attack.Stopped(t, "K34", "flush the rules",
		func(t *testing.T) error {
			if err := (actor{ns: scrap, root: true}).run(t, "flush", ""); err != nil {
				return err
			}
			if lines, err := scrap.Diff(plan); len(lines) == 0 {
				return fmt.Errorf("nothing changed: %v", err)
			}
			return nil
		},
		func(t *testing.T) error {
			said := actor{ns: bottle}.run(t, "flush", "")
			if lines, err := bottle.Diff(plan); err != nil || len(lines) > 0 {
				t.Errorf("changed: %v, %v", lines, err)
			}
			return said
		})
}

// The host's own services are not there, nor those of another bottle, though all have
// the same addresses.
func TestAttackNeighbours(t *testing.T) {
	host := thisNamespace(t)
	bottle, _ := served(t)
	other, plan := served(t)
	service := func(ns *netns.Namespace, addr string) *canaryService { return serve(t, ns, addr) }
	own := netip.AddrPortFrom(plan.Addr4, 0).String()
	for _, row := range []struct {
		id, name string
		where    *netns.Namespace
		at       string
	}{
		{"K25", "the host's loopback", host, "127.0.0.1:0"},
		{"K27", "the host's loopback, IPv6", host, "[::1]:0"},
		{"K28", "another bottle's own address", other, own},
		{"K28", "another bottle's loopback", other, "127.0.0.1:0"},
	} {
		s := service(row.where, row.at)
		attack.Stopped(t, row.id, row.name,
			func(t *testing.T) error {
				err := actor{ns: row.where}.run(t, "tcp", s.addr)
				return errors.Join(err, silent(!s.called(arrives)))
			},
			func(t *testing.T) error {
				said := actor{ns: bottle}.run(t, "tcp", s.addr)
				if s.called(50 * time.Millisecond) {
					return nil
				}
				return errors.Join(said, errors.New("the service saw nobody"))
			})
	}
}

// Two programs connect from the same port, and reset, over and over: no connection is
// ever put down to the other program, and its destination is always what it asked for.
func TestAttackStaleFlow(t *testing.T) {
	bottle, plan := newBottle(t)
	group := newGroup(t)
	hooks := attach(t, group, bottle)
	listeners, err := bottle.Listen(plan)
	must(t, err)
	defer listeners.Close()
	listener, err := net.FileListener(listeners.TCP[0])
	must(t, err)
	fd, err := hooks.FlowsFD()
	must(t, err)
	flows, err := bpf.NewFlows(fd)
	must(t, err)
	defer flows.Close()

	const target = "198.51.100.1:443"
	var named, wrong, missed int
	accepting := make(chan struct{})
	go func() {
		defer close(accepting)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			local, remote := conn.LocalAddr().(*net.TCPAddr).AddrPort(), conn.RemoteAddr().(*net.TCPAddr).AddrPort()
			if local.String() != target {
				t.Errorf("destination %v", local)
			}
			raw, _ := conn.(*net.TCPConn).SyscallConn()
			flow, ok := flows.Accepted(raw, remote, local)
			var said [4]byte
			conn.SetReadDeadline(time.Now().Add(time.Second))
			_, err = io.ReadFull(conn, said[:])
			conn.Close()
			switch {
			case !ok:
				missed++
			case err != nil:
			case flow.Process.PID != int(binary.NativeEndian.Uint32(said[:])):
				wrong++
			default:
				named++
			}
		}
	}()
	attack.Stopped(t, "K57", "same port, reset, other program",
		func(t *testing.T) error { return actor{ns: bottle, cg: group}.runAlone(t, "tcp", target) },
		func(t *testing.T) error {
			var both sync.WaitGroup
			for range 2 {
				both.Go(func() {
					if err := (actor{ns: bottle, cg: group}).runAlone(t, "reconnect", target); err != nil {
						t.Error(err)
					}
				})
			}
			both.Wait()
			listener.Close()
			<-accepting
			if wrong > 0 {
				return nil
			}
			if named == 0 {
				t.Error("none was named: the row shows nothing")
			}
			return fmt.Errorf("of the connections that could be read %d were named right, none wrong; %d closed before they were looked up", named, missed)
		})
	if flows, err := hooks.Counts(); err != nil || flows.FlowsLost > 0 {
		t.Errorf("%+v, %v", flows, err)
	}
}

// Whatever the port, the connection is taken, with the port that was asked for.
func TestAttackEveryPort(t *testing.T) {
	w := newWire(t)
	bottle, plan := newBottle(t)
	listeners, err := bottle.Listen(plan)
	must(t, err)
	defer listeners.Close()
	for i, family := range []struct {
		name        string
		control, to netip.Addr
	}{{"IPv4", sinkAddr4(1), sinkAddr4(2)}, {"IPv6", sinkAddr6(1), sinkAddr6(2)}} {
		listener, err := net.FileListener(listeners.TCP[i])
		must(t, err)
		taken := make(map[uint16]bool)
		accepting := make(chan struct{})
		go func() {
			defer close(accepting)
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				local := conn.LocalAddr().(*net.TCPAddr).AddrPort()
				taken[local.Port()] = local.Addr() == family.to
				conn.Close()
			}
		}()
		attack.Stopped(t, "T01", "sweep of the ports over "+family.name,
			func(t *testing.T) error {
				err := actor{ns: w.ns}.run(t, "tcp", netip.AddrPortFrom(family.control, 26).String())
				return errors.Join(err, silent(!w.saw(family.control, arrives)))
			},
			func(t *testing.T) error {
				if err := (actor{ns: bottle}).run(t, "sweep", netip.AddrPortFrom(family.to, 1).String()); err != nil {
					t.Error(err)
				}
				listener.Close()
				<-accepting
				for port, right := range taken {
					if !right {
						t.Errorf("port %d was taken for another address", port)
					}
				}
				if want := len(sweepPorts()); len(taken) != want {
					t.Errorf("%d of %d ports were taken", len(taken), want)
				}
				if w.saw(family.to, 20*time.Millisecond) {
					return nil
				}
				return fmt.Errorf("%d ports, all taken by the listener", len(taken))
			})
	}
}

// canaryService counts who connects.
type canaryService struct {
	addr string
	seen chan struct{}
}

func serve(t *testing.T, ns *netns.Namespace, addr string) *canaryService {
	t.Helper()
	var listener net.Listener
	must(t, ns.Do(func() (err error) {
		listener, err = net.Listen("tcp", addr)
		return err
	}))
	t.Cleanup(func() { listener.Close() })
	s := &canaryService{addr: listener.Addr().String(), seen: make(chan struct{}, 16)}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Close()
			s.seen <- struct{}{}
		}
	}()
	return s
}

func (s *canaryService) called(patience time.Duration) bool {
	select {
	case <-s.seen:
		return true
	case <-time.After(patience):
		return false
	}
}

// thisNamespace is the one of the test itself.
func thisNamespace(t *testing.T) *netns.Namespace {
	t.Helper()
	var id netns.ID
	var stat unix.Stat_t
	must(t, unix.Stat("/proc/self/ns/net", &stat))
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	must(t, err)
	defer unix.Close(fd)
	id.Inode = stat.Ino
	id.Cookie, err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	must(t, err)
	ns, err := netns.OpenPID(os.Getpid(), id)
	must(t, err)
	t.Cleanup(func() { ns.Close() })
	return ns
}
