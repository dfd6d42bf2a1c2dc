package walls

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"bottled/bpf"
	"bottled/netns"
)

// bothWays are how the programs know the namespace of a packet, with the value of
// bpf.Options.ByMark.
var bothWays = map[string]bool{"cookie": false, "mark": true}

func init() {
	probes["tcp-whole"] = tcpWhole
	probes["tcp-to-itself"] = tcpToItself
	probes["udp-to-itself"] = udpToItself
}

// patience is how long a probe waits for what comes at once or never.
const patience = 200 * time.Millisecond

// tcpWhole: a SYN that is dropped is seen by the program as a timeout.
func tcpWhole(target string) error {
	conn, err := net.DialTimeout("tcp", target, patience)
	if err != nil {
		return err
	}
	return conn.Close()
}

// tcpToItself is a server and its client in one, at the target.
func tcpToItself(target string) error {
	listener, err := net.Listen("tcp", target)
	if err != nil {
		return err
	}
	defer listener.Close()
	client, err := net.DialTimeout("tcp", listener.Addr().String(), patience)
	if err != nil {
		return err
	}
	defer client.Close()
	server, err := listener.Accept()
	if err != nil {
		return err
	}
	defer server.Close()
	if _, err := server.Write(canary); err != nil {
		return err
	}
	return hear(client)
}

func udpToItself(target string) error {
	conn, err := net.ListenPacket("udp", target)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.WriteTo(canary, conn.LocalAddr()); err != nil {
		return err
	}
	return hear(conn.(net.Conn))
}

func hear(conn net.Conn) error {
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	buf := make([]byte, 100)
	n, err := conn.Read(buf)
	if err == nil && !bytes.Equal(buf[:n], canary) {
		err = fmt.Errorf("read %q", buf[:n])
	}
	return err
}

// allowed is what works in a bottle: a client, a server with the sockets that it
// accepts, DNS, and datagrams to itself.
var allowed = []struct{ probe, target string }{
	{"tcp-whole", "192.0.2.1:443"},
	{"tcp-whole", "[2001:db8::1]:443"},
	{"tcp-to-itself", "127.0.0.1:0"},
	{"tcp-to-itself", "[::1]:0"},
	{"udp", "192.0.2.1:53"},
	{"udp-connected", "[2001:db8::1]:53"},
	{"udp-to-itself", "127.0.0.1:0"},
	{"udp-to-itself", "[::1]:0"},
}

// However the programs know the namespace of a packet, they let and refuse the same.
func TestNamespaceOfPackets(t *testing.T) {
	for name, byMark := range bothWays {
		t.Run(name, func(t *testing.T) {
			bottle, _ := served(t)
			other, _ := served(t)
			group := newGroup(t)
			hooks := attachment{group, bottle, byMark}.attach(t)
			if got, err := hooks.ByMark(); got != byMark || err != nil {
				t.Errorf("by mark: %t, %v", got, err)
			}
			text, err := hooks.Dump()
			if err != nil || strings.Contains(text, "marks of their sockets") != byMark {
				t.Errorf("%s%v", text, err)
			}
			for _, a := range allowed {
				if err := (actor{ns: bottle, cg: group}).run(t, a.probe, a.target); err != nil {
					t.Errorf("%s %s: %v", a.probe, a.target, err)
				}
			}
			if c, err := hooks.Counts(); err != nil || len(c.Refused) > 0 {
				t.Errorf("refused %v, %v", c.Refused, err)
			}
			refusedIn(t, other, actor{ns: other, cg: group})
		})
	}
}

// The packets alone: those of another namespace are refused both ways. Where marks are
// looked for, so are those of the bottle's own namespace, as no socket has one.
func TestUnmarkedPackets(t *testing.T) {
	for name, byMark := range bothWays {
		t.Run(name, func(t *testing.T) {
			bottle, _ := served(t)
			other, _ := served(t)
			group := newGroup(t)
			attachOnly(t, attachment{group, bottle, byMark}, bpf.Egress)
			refusedIn(t, other, actor{ns: other, cg: group, root: true})
			if byMark {
				refusedIn(t, bottle, actor{ns: bottle, cg: group, root: true})
				return
			}
			for _, a := range allowed {
				if err := (actor{ns: bottle, cg: group, root: true}).run(t, a.probe, a.target); err != nil {
					t.Errorf("%s %s: %v", a.probe, a.target, err)
				}
			}
		})
	}
}

// refusedIn: what works for a program that nobody holds is refused to the one inside.
func refusedIn(t *testing.T, ns *netns.Namespace, inside actor) {
	t.Helper()
	for _, a := range allowed {
		if err := (actor{ns: ns, root: inside.root}).run(t, a.probe, a.target); err != nil {
			t.Errorf("%s %s: not held: %v", a.probe, a.target, err)
		}
		if err := inside.run(t, a.probe, a.target); err == nil {
			t.Errorf("%s %s went out", a.probe, a.target)
		}
	}
}
