package bpf

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Each refusal is reported with the process, and with what it wanted.
func TestRefusals(t *testing.T) {
	g := group(t)
	h := attached(t, options(t, g))
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	got := make(chan Refusal, 10)
	done := make(chan error, 1)
	go func() { done <- h.Refusals(ctx, func(r Refusal) { got <- r }) }()
	for _, c := range []struct {
		act, arg string
		want     Refusal
	}{
		{"udp", "192.0.2.1:443", Refusal{Call: CallConnect, Reason: ReasonDestination, Family: unix.AF_INET,
			Protocol: unix.IPPROTO_UDP, Destination: netip.MustParseAddrPort("192.0.2.1:443")}},
		{"raw", "1", Refusal{Call: CallSocket, Reason: ReasonProtocol, Family: unix.AF_INET6, Protocol: unix.IPPROTO_ICMPV6}},
	} {
		cmd := command(t, g, c.act, c.arg)
		if out, err := cmd.Output(); err == nil {
			t.Fatalf("%s: let through: %s", c.act, out)
		}
		select {
		case r := <-got:
			if since := time.Since(r.Time); since < 0 || since > 10*time.Second {
				t.Errorf("%s: happened %v ago", c.act, since)
			}
			c.want.Time = r.Time
			c.want.Process = Process{PID: cmd.Process.Pid, TID: r.Process.TID, UID: 0, Comm: "exe"}
			if r != c.want {
				t.Errorf("%s:\n got %+v\nwant %+v", c.act, r, c.want)
			}
		case <-ctx.Done():
			t.Fatalf("%s: nothing was reported", c.act)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Without a reader the count stays exact, and says what was lost.
func TestReportsOverflow(t *testing.T) {
	g := group(t)
	h := attached(t, options(t, g))
	const times = 2000
	if out, err := command(t, g, "raw", "2000").Output(); err == nil {
		t.Fatalf("let through: %s", out)
	}
	c, err := h.Counts()
	must(t, err)
	if c.Refused[ReasonProtocol] != times || len(c.Refused) != 1 {
		t.Errorf("refused %v, want %d by protocol", c.Refused, times)
	}
	if c.ReportsLost == 0 || c.ReportsLost >= times {
		t.Errorf("%d reports lost", c.ReportsLost)
	}
}

// A full table refuses: there is no socket without an owner.
func TestTooManySockets(t *testing.T) {
	g := group(t)
	h := attached(t, options(t, g))
	out, err := command(t, g, "sockets").Output()
	if err == nil || !strings.HasSuffix(string(out), "operation not permitted") {
		t.Errorf("%q, %v", out, err)
	}
	c, err := h.Counts()
	must(t, err)
	if c.Refused[ReasonSockets] == 0 {
		t.Errorf("%+v", c)
	}
	// The process is gone, and its sockets with it.
	var key uint64
	if err := h.maps[programsMapOwners].NextKey(nil, &key); err == nil {
		t.Error("owners are left over")
	}
}

func TestNames(t *testing.T) {
	for r := range reasons {
		if r.String() == "" {
			t.Errorf("reason %d has no name", r)
		}
	}
	for c := range calls {
		if c.String() == "" {
			t.Errorf("call %d has no name", c)
		}
	}
	if Reason(200).String() != "unknown" || Call(200).String() != "unknown" {
		t.Error("a value of a later version has a name")
	}
	if _, err := refusal(make([]byte, 10)); err == nil {
		t.Error("a short record was taken")
	}
}
