package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"github.com/cilium/ebpf"
)

// Flow is a TCP connection that a process of the bottle opened.
type Flow struct {
	Process Process
	Opened  time.Time // when the handshake was done
	ISN     uint32    // initial sequence number of the bottle's side
}

// Flows looks up who opened a connection. It holds a read-only descriptor and needs
// no capability: every lookup is one bpf(2) call with BPF_MAP_LOOKUP_ELEM, which a
// seccomp filter can tell from others by its first argument (1).
//
// Its methods may be used by several goroutines at once. The zero value finds
// nothing.
type Flows struct {
	table *ebpf.Map
}

// NewFlows makes Flows from a descriptor that [Hooks.FlowsFD] gave, usually in
// another process, and takes the descriptor over. It asks the kernel for the shape of
// the map (BPF_OBJ_GET_INFO_BY_FD): a process with a seccomp filter does this first.
func NewFlows(fd int) (*Flows, error) {
	table, err := ebpf.NewMapFromFD(fd)
	if err != nil {
		return nil, fmt.Errorf("flows of the bottle: %w", err)
	}
	var key programsFlowKey
	var value programsFlow
	if int(table.KeySize()) != binary.Size(key) || int(table.ValueSize()) != binary.Size(value) {
		return nil, errors.Join(errors.New("flows of the bottle: the table is of another version"), table.Close())
	}
	return &Flows{table}, nil
}

// Flow returns who opened the connection from local, the bottle's side, to remote. It
// finds nothing once the bottle's side is closed. The answer may be for a later
// connection between the same addresses: [Flows.Accepted] is exact.
func (f *Flows) Flow(local, remote netip.AddrPort) (Flow, bool) {
	if f == nil || f.table == nil {
		return Flow{}, false
	}
	key := programsFlowKey{LocalPort: local.Port(), RemotePort: remote.Port()}
	key.Local.Word, key.Remote.Word = words(local.Addr()), words(remote.Addr())
	var value programsFlow
	if err := f.table.Lookup(&key, &value); err != nil {
		return Flow{}, false
	}
	return Flow{Process: process(value.Process), Opened: monotonic(value.Opened), ISN: value.Isn}, true
}

// Accepted returns who opened a connection that was accepted on a listener with
// TCP_SAVE_SYN, as those of package netns are. The sequence number of the SYN that
// the listener saw must be that of the flow, so a flow of another connection between
// the same addresses is never taken for this one. Call it at most once for each
// connection: the kernel gives the SYN away once.
func (f *Flows) Accepted(conn syscall.RawConn, local, remote netip.AddrPort) (Flow, bool) {
	flow, ok := f.Flow(local, remote)
	if !ok {
		return Flow{}, false
	}
	isn, err := savedISN(conn)
	return flow, err == nil && isn == flow.ISN
}

// Close gives the descriptor back.
func (f *Flows) Close() error { return f.table.Close() }
