package bpf

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

// Reason says why something was refused. The values are those of src/refusal.h.
type Reason uint8

// The reasons.
const (
	ReasonUnknown     Reason = iota
	ReasonNamespace          // the socket is not of the bottle's network namespace
	ReasonProtocol           // neither TCP nor UDP
	ReasonDestination        // UDP to somewhere else than DNS or the bottle itself; what an enforcer may not reach
	ReasonSource             // bind to an address that is not the bottle's; an enforcer that binds or listens
	ReasonPacket             // fragment, extension header, cut short, not IP
	ReasonSockets            // more sockets than a bottle may hold
	reasons
)

var reasonNames = [reasons]string{"unknown", "namespace", "protocol", "destination", "source", "packet", "sockets"}

func (r Reason) String() string {
	if r >= reasons {
		r = ReasonUnknown
	}
	return reasonNames[r]
}

// Call says at which point something was refused. The values are those of
// src/refusal.h.
type Call uint8

// The points.
const (
	CallUnknown Call = iota
	CallSocket
	CallBind
	CallConnect
	CallSend
	CallPacket
	calls
)

var callNames = [calls]string{"unknown", "socket", "bind", "connect", "send", "packet"}

func (c Call) String() string {
	if c >= calls {
		c = CallUnknown
	}
	return callNames[c]
}

// Refusal is one thing that the programs refused.
type Refusal struct {
	Time        time.Time
	Process     Process
	Call        Call
	Reason      Reason
	Family      int            // AF_INET or AF_INET6
	Protocol    int            // IPPROTO_*
	Destination netip.AddrPort // zero when a socket was refused; for a bind what was asked for
}

// Refusals calls report for each refusal, in order, until ctx is done, and then
// returns nil. One reader at a time: refusals go to one of several readers. What
// nobody reads is lost when the ring (some 400 refusals of a bottle, 50 of an enforcer) is full, and counted.
func (s *set) Refusals(ctx context.Context, report func(Refusal)) error {
	reader, err := ringbuf.NewReader(s.maps[programsMapRefusals])
	if err != nil {
		return fmt.Errorf("refusals of %s: %w", s.kind.whose, err)
	}
	defer reader.Close()
	defer context.AfterFunc(ctx, func() { reader.Close() })()
	for {
		record, err := reader.Read()
		if errors.Is(err, ringbuf.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("refusals of %s: %w", s.kind.whose, err)
		}
		r, err := refusal(record.RawSample)
		if err != nil {
			return fmt.Errorf("refusals of %s: %w", s.kind.whose, err)
		}
		report(r)
	}
}

func refusal(sample []byte) (Refusal, error) {
	var raw programsRefusal
	if _, err := binary.Decode(sample, binary.NativeEndian, &raw); err != nil {
		return Refusal{}, err
	}
	r := Refusal{
		Time:     monotonic(raw.Time),
		Process:  process(raw.Process),
		Call:     Call(raw.Hook),
		Reason:   Reason(raw.Reason),
		Family:   int(raw.Family),
		Protocol: int(raw.Protocol),
	}
	if r.Call != CallSocket {
		r.Destination = netip.AddrPortFrom(address(raw.Destination.Word), raw.Port)
	}
	return r, nil
}

// monotonic turns nanoseconds of CLOCK_MONOTONIC into a time of day.
func monotonic(ns uint64) time.Time {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return time.Now()
	}
	return time.Now().Add(time.Duration(int64(ns) - now.Nano()))
}
