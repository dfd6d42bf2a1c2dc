package worker

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"bottled/audit"
	"bottled/bpf"
)

// processes tells who opened a connection, as the hooks noted it.
type processes struct {
	flows *bpf.Flows // nil where the hooks are not there: it finds nothing
}

func newProcesses(s *sockets) (processes, error) {
	if s.flows == nil {
		return processes{}, nil
	}
	fd, err := unix.FcntlInt(s.flows.Fd(), unix.F_DUPFD_CLOEXEC, 0) // NewFlows keeps the one it gets
	s.flows.Close()
	if err != nil {
		return processes{}, fmt.Errorf("flows: %w", err)
	}
	flows, err := bpf.NewFlows(fd)
	return processes{flows}, err
}

// accepted tells it of a connection that a listener of the bottle accepted, exactly:
// not of an earlier one between the same addresses. It is asked once for each.
func (p processes) accepted(c net.Conn) audit.Process {
	s, ok := c.(syscall.Conn)
	if !ok {
		return audit.Process{}
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return audit.Process{}
	}
	return process(p.flows.Accepted(raw, address(c.RemoteAddr()), address(c.LocalAddr())))
}

// asker tells it of a DNS query, which is known where it came over TCP.
func (p processes) asker(server, from netip.AddrPort) audit.Process {
	return process(p.flows.Flow(from, server))
}

func process(f bpf.Flow, known bool) audit.Process {
	if !known {
		return audit.Process{}
	}
	return audit.Process{PID: f.Process.PID, Comm: f.Process.Comm, UID: f.Process.UID}
}

// address is a as the hooks write it down: IPv4 where it is.
func address(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(t.AddrPort().Addr().Unmap(), t.AddrPort().Port())
}
