package walls

import (
	"net"
	"net/netip"
	"testing"

	"bottled/bpf"
)

// A program in a bottle connects anywhere. The listener sees where to, and who.
func TestConnectionIsTakenAndNamed(t *testing.T) {
	ns, plan := newBottle(t)
	group := newGroup(t)
	hooks := attach(t, group, ns)
	listeners, err := ns.Listen(plan)
	if err != nil {
		t.Fatal(err)
	}
	defer listeners.Close()
	fd, err := hooks.FlowsFD()
	if err != nil {
		t.Fatal(err)
	}
	flows, err := bpf.NewFlows(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer flows.Close()

	for i, target := range []string{"1.2.3.4:4433", "[2001:db8::1]:65535"} {
		t.Run(target, func(t *testing.T) {
			listener, err := net.FileListener(listeners.TCP[i])
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			done := make(chan error, 1)
			go func() { done <- actor{ns: ns, cg: group}.runAlone(t, "connect-holding", target) }()
			conn, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			local, remote := conn.LocalAddr().(*net.TCPAddr).AddrPort(), conn.RemoteAddr().(*net.TCPAddr).AddrPort()
			if local != netip.MustParseAddrPort(target) {
				t.Errorf("destination %v, want %s", local, target)
			}
			raw, err := conn.(*net.TCPConn).SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			flow, ok := flows.Accepted(raw, remote, local)
			if !ok {
				c, err := hooks.Counts()
				f, ok := flows.Flow(remote, local)
				t.Fatalf("no flow from %v to %v: %v %v; by address %+v %t", remote, local, c, err, f, ok)
			}
			pids, err := group.Processes()
			if err != nil || len(pids) != 1 {
				t.Fatalf("processes of the group: %v, %v", pids, err)
			}
			if flow.Process.PID != pids[0] || flow.Process.Comm != "exe" || flow.Process.UID != 65534 {
				t.Errorf("opened by %+v, want process %d", flow.Process, pids[0])
			}
			if _, ok := flows.Accepted(raw, remote, local); ok {
				t.Error("the SYN was given away twice")
			}
			buf := make([]byte, 100)
			if n, err := conn.Read(buf); string(buf[:n]) != string(canary) {
				t.Errorf("read %q, %v", buf[:n], err)
			}
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			if f, ok := flows.Flow(remote, local); ok {
				t.Errorf("left over after close: %+v", f)
			}
		})
	}
	if f, ok := (*bpf.Flows)(nil).Flow(netip.AddrPort{}, netip.AddrPort{}); ok {
		t.Errorf("nil found %+v", f)
	}
}
