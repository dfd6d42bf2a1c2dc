package siege

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"bottled/attack"
)

// servedWithin is how long a neighbour may wait for an answer while another bottle does
// what it can. Two bottles share nothing but the machine.
const servedWithin = time.Second

// neighbour checks that another bottle is served meanwhile. What starves it starves every
// request; that the machine had something else to do for a second, only one.
func neighbour(t *testing.T, b *besieged) {
	t.Helper()
	var waited []time.Duration
	for range 3 {
		start := time.Now()
		b.must(t, order{Op: "get", URL: "https://" + allowedHost + "/"})
		took := time.Since(start)
		if took <= servedWithin {
			return
		}
		waited = append(waited, took)
	}
	t.Errorf("the bottle beside it waited %v", waited)
}

// TestAttackResources has one bottle take all of its enforcer that it can.
func TestAttackResources(t *testing.T) {
	d := newDaemon(t)
	a, b := d.bottle(t, options{}), d.bottle(t, options{})
	neighbour(t, b)
	at := strings.Fields(a.must(t, order{Op: "lookup", Addr: allowedHost}).Body)[0]
	fds := descriptorsOf(t, a.WorkerPID)
	const cap = 1100 // proxy.Limits: 1024 connections, and some that are not counted

	for name, opening := range map[string]string{
		"TLS": "\x16", "headers": "GET / HTTP/1.1\r\nHost: " + allowedHost + "\r\nX: ", "nothing": "",
		"a body": "POST / HTTP/1.1\r\nHost: " + allowedHost + "\r\nContent-Length: 1000000\r\n\r\nx",
	} {
		attack.Stopped(t, "X01", "1500 connections that say little, in "+name,
			func(t *testing.T) error { // the machine itself takes them all
				free := outside(t)
				said, _ := free.do(order{Op: "slow", Addr: world.sinkAddr(), N: 1500, Data: opening})
				return moreThan(said.N, cap)
			},
			func(t *testing.T) error {
				_, _ = a.do(order{Op: "slow", Addr: at + ":443", N: 1500, Data: opening})
				held := descriptorsOf(t, a.WorkerPID) - fds
				neighbour(t, b)
				a.must(t, order{Op: "unknock"})
				eventually(t, "the enforcer lets go of them", 40*time.Second, func() bool { return descriptorsOf(t, a.WorkerPID) <= fds+20 })
				return moreThan(held, cap*2) // one here, and one to the upstream
			})
	}
	// What nobody reads is not taken in: beyond the buffers of the connections on either side,
	// which hold some MiB each, an endless body waits where it comes from.
	const window, bodies = 24 << 20, 8
	attack.Stopped(t, "X04", "endless bodies down that the program does not read",
		func(t *testing.T) error {
			free := outside(t)
			before := world.sent.Load()
			free.must(t, order{Op: "hoard", URL: "https://" + allowedHost + "/big", N: bodies, Data: "read"})
			defer free.must(t, order{Op: "unknock"})
			return moreThan(int(settles(&world.sent, before+bodies*window+1)-before), bodies*window)
		},
		func(t *testing.T) error {
			before := settles(&world.sent, 1<<62)
			a.must(t, order{Op: "hoard", URL: "https://" + allowedHost + "/big", N: bodies})
			taken := settles(&world.sent, before+bodies*window+1) - before
			neighbour(t, b)
			a.must(t, order{Op: "unknock"})
			return moreThan(int(taken), bodies*window)
		})
	up := func(who *agent, path string) attack.Probe {
		return func(t *testing.T) error {
			taken := who.must(t, order{Op: "upload", URL: "https://" + allowedHost + path, N: window + 1}).N
			neighbour(t, b)
			return moreThan(taken, window)
		}
	}
	attack.Stopped(t, "X04", "an endless body up that the upstream does not read", up(outside(t), "/"), up(a.agent, "/stall"))
	attack.Stopped(t, "X06", "openings of every kind with noise behind them",
		func(t *testing.T) error {
			said, err := outside(t).do(order{Op: "garbage", Addr: world.sinkAddr(), N: 20})
			return errors.Join(err, moreThan(said.N, 19))
		},
		func(t *testing.T) error {
			if _, err := a.do(order{Op: "garbage", Addr: at + ":443", N: scaled(240, 100000)}); err != nil {
				t.Error(err)
			}
			neighbour(t, b)
			if _, err := a.do(order{Op: "get", URL: "https://" + allowedHost + "/"}); err != nil {
				t.Errorf("the enforcer serves no more: %v", err)
				return nil
			}
			return errors.New("the same enforcer goes on")
		})
}

func moreThan(n, bound int) error {
	if n > bound {
		return nil
	}
	return fmt.Errorf("%d, not more than %d", n, bound)
}
