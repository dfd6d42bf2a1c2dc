package siege

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"
	"github.com/google/nftables"

	"bottled/api"
	"bottled/attack"
	"bottled/cgroup"
)

// TestAttackDeadDaemon leaves a bottle without a daemon for a while, under load, and has
// the daemon crash over and over: a service manager may give up on it.
func TestAttackDeadDaemon(t *testing.T) {
	d, b := underTraffic(t)
	closedAllAlong(t, "R03", "no daemon for a while, under load", b, func(t *testing.T) {
		d.kill()
		b.rounds(t, scaled(500, 20000))
		b.allowed(t, 5)
	})
	attack.Stopped(t, "R04", "programs without their daemon",
		func(t *testing.T) error { // held by a process and not pinned, they vanish with it
			base, err := cgroup.Base()
			must(t, err)
			g, err := cgroup.Create(filepath.Join(base, fmt.Sprintf("siege-holder-%d", os.Getpid())))
			must(t, err)
			defer func() {
				must(t, cgroup.Remove(context.Background(), g.Path()))
				g.Close()
			}()
			loose := &besieged{Bottle: api.Bottle{Cgroup: g.Path()}}
			kill := hold(t, g.Path())
			if loose.hooksOn(t) == 0 {
				return errors.New("the link of the control was not there")
			}
			kill()
			eventually(t, "the unpinned link is gone", 10*time.Second, func() bool { return loose.hooksOn(t) == 0 })
			return nil
		},
		func(t *testing.T) error {
			n := b.hooksOn(t)
			if n == 0 {
				return nil
			}
			return fmt.Errorf("all %d programs are attached with no daemon", n)
		})
	closedAllAlong(t, "R24", "daemon crashes ten times", b, func(t *testing.T) {
		for range 10 {
			next := d.again(t)
			b.rounds(t, 5)
			next.kill()
			d = next
		}
		b.rounds(t, 50)
		b.allowed(t, 1)
	})
	before := b.hooksOn(t)
	d = d.again(t)
	if after := b.hooksOn(t); after != before {
		t.Errorf("%d programs are attached after an adoption, %d were before", after, before)
	}
	nothingLeft(t, d.config, b)
}

// TestAttackStopped stops the daemon and the enforcer as a debugger, a freezer or a lack
// of memory would.
func TestAttackStopped(t *testing.T) {
	d, b := underTraffic(t)
	for _, part := range []struct {
		name string
		pid  int
		dead bool // nothing gets through meanwhile
	}{{"daemon", d.cmd.Process.Pid, false}, {"enforcer", b.WorkerPID, true}} {
		closedAllAlong(t, "R13", part.name+" is stopped", b, func(t *testing.T) {
			must(t, syscall.Kill(part.pid, syscall.SIGSTOP))
			b.rounds(t, scaled(100, 2000))
			if !part.dead {
				b.allowed(t, 2)
			}
			must(t, syscall.Kill(part.pid, syscall.SIGCONT))
			b.allowed(t, 1)
		})
	}
	if _, err := d.List(context.Background(), false); err != nil {
		t.Error(err)
	}
}

// TestAttackInFlight keeps a connection open across a restart: it must obey what the next
// daemon says.
func TestAttackInFlight(t *testing.T) {
	d := newDaemon(t)
	plain, bound := d.bottle(t, options{name: "control"}), d.bottle(t, options{name: "attack"})
	protocols := []string{"h1", "h2"}
	for _, protocol := range protocols {
		request := order{Op: "keep", ID: protocol, URL: "https://" + allowedHost + "/", Network: protocol}
		plain.must(t, request)
		bound.must(t, request)
	}
	d.kill()
	next := d.again(t)
	bound.update(t, next, otherRoute, nil)
	for _, protocol := range protocols {
		again := order{Op: "again", ID: protocol, URL: "https://" + allowedHost + "/"}
		attack.Stopped(t, "R12", "a connection from before the restart, "+protocol,
			func(t *testing.T) error { _, err := plain.do(again); return err },
			func(t *testing.T) error { _, err := bound.do(again); return err })
	}
}

// TestAttackEstablishedBeforePolicy is the same without a restart: what was opened under
// the old table is cut, or judged by the new one, within a second of the change.
func TestAttackEstablishedBeforePolicy(t *testing.T) {
	d := newDaemon(t)
	for _, protocol := range []string{"h1", "h2"} {
		plain, bound := d.bottle(t, options{}), d.bottle(t, options{})
		request := order{Op: "keep", ID: "old", URL: "https://" + allowedHost + "/", Network: protocol}
		plain.must(t, request)
		bound.must(t, request)
		bound.update(t, d, otherRoute, nil)
		again := order{Op: "again", ID: "old", URL: "https://" + allowedHost + "/"}
		attack.Stopped(t, "T15", "a connection from before the update, "+protocol,
			func(t *testing.T) error { _, err := plain.do(again); return err },
			func(t *testing.T) error {
				time.Sleep(time.Second) // the bound of the row
				_, err := bound.do(again)
				return err
			})
	}
}

// TestAttackAdoption changes one thing of each of several bottles while there is no daemon.
// The next one must not take them over, and must end them; the one that was left alone it
// adopts.
func TestAttackAdoption(t *testing.T) {
	d := newDaemon(t)
	other := d.bottle(t, options{name: "untouched"})
	replace := func(t *testing.T, b *besieged, old, text string) {
		path := filepath.Join(b.stateDir(), "bottle.json")
		record, err := os.ReadFile(path)
		must(t, err)
		if !strings.Contains(string(record), old) {
			t.Fatalf("%q is not in the record %s", old, record)
		}
		must(t, os.WriteFile(path, []byte(strings.Replace(string(record), old, text, 1)), 0o600))
	}
	tampers := map[string]func(*testing.T, *besieged, *besieged){
		"rules flushed":      func(t *testing.T, b, _ *besieged) { b.flush(t) },
		"a program detached": func(t *testing.T, b, _ *besieged) { b.detach(t, 1) },
		"all detached":       func(t *testing.T, b, _ *besieged) { b.detach(t, -1) },
		"a route deleted":    func(t *testing.T, b, _ *besieged) { b.deleteRules(t) },
		"a recycled number": func(t *testing.T, b, other *besieged) {
			replace(t, b, fmt.Sprintf(`"pid":%d`, b.PID), fmt.Sprintf(`"pid":%d`, other.PID))
		},
		"another's enforcer": func(t *testing.T, b, other *besieged) {
			replace(t, b, fmt.Sprintf(`"pid":%d`, b.WorkerPID), fmt.Sprintf(`"pid":%d`, other.WorkerPID))
		},
		"another's namespace": func(t *testing.T, b, other *besieged) {
			replace(t, b, fmt.Sprintf(`"netns":%d`, b.NetNS), fmt.Sprintf(`"netns":%d`, other.NetNS))
		},
		"enforcer killed": func(t *testing.T, b, _ *besieged) { must(t, syscall.Kill(b.WorkerPID, syscall.SIGKILL)) },
	}
	bottles := make(map[string]*besieged)
	for name := range tampers {
		bottles[name] = d.bottle(t, options{})
	}
	note(t, d.config)
	d.kill()
	for name, tamper := range tampers {
		tamper(t, bottles[name], other)
	}
	next := d.again(t)
	list, err := next.List(context.Background(), false)
	must(t, err)
	adopted := func(b *besieged) error {
		if slices.ContainsFunc(list, func(got api.Bottle) bool { return got.ID == b.ID }) {
			return nil
		}
		if _, err := b.do(order{Op: "report"}); err == nil {
			return nil
		}
		return errors.New("not adopted, and ended")
	}
	for name, b := range bottles {
		attack.Stopped(t, "R10", name,
			func(*testing.T) error { return adopted(other) },
			func(*testing.T) error { return adopted(b) })
	}
	nothingLeft(t, next.config, other)
}

// flush removes every rule in the bottle's namespace.
func (b *besieged) flush(t testing.TB) {
	t.Helper()
	must(t, b.namespace(t).Do(flushRuleset))
}

func flushRuleset() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	c.FlushRuleset()
	return c.Flush()
}

// detach detaches n of the bottle's programs, or all.
func (b *besieged) detach(t testing.TB, n int) {
	t.Helper()
	group, done := inode(t, b.Cgroup), 0
	for each := new(link.Iterator); each.Next() && done != n; {
		info, err := each.Link.Info()
		if err != nil {
			continue
		}
		if g := info.Cgroup(); g != nil && g.CgroupId == group {
			must(t, each.Link.Detach())
			done++
		}
	}
	if done == 0 {
		t.Fatal("no program was attached")
	}
}

// TestAttackReusedName keeps a connection of a bottle that was stopped, as a process that
// got hold of its descriptor would, and makes a bottle of the same name with another
// credential: what is left of the first must get nothing of the second.
func TestAttackReusedName(t *testing.T) {
	d := newDaemon(t)
	make1 := func(token string) *besieged {
		return d.bottle(t, options{name: "phoenix", routes: withToken(allowedHost, "T"), tokens: map[string]string{"T": token}})
	}
	first := make1("token-of-the-first")
	stolen := first.steal(t)
	attack.Stopped(t, "R15", "a connection of the bottle that had the name before",
		func(t *testing.T) error { _, err := stolen.request("/echo"); return err },
		func(t *testing.T) error {
			first.stop(t)
			second := make1("token-of-the-second")
			second.must(t, order{Op: "get", URL: "https://" + allowedHost + "/"})
			_, err := stolen.request("/echo")
			return err
		})
	want := map[string]bool{"": true, "Bearer token-of-the-first": true, "Bearer token-of-the-second": true}
	for _, r := range world.upstream.Requests() {
		if a := r.Header.Get("Authorization"); strings.Contains(a, "token-of-the-") && !want[a] {
			t.Errorf("an upstream got %q", a)
		}
	}
}

// TestAttackOrphanNamespace holds the namespace of a bottle that was stopped, and uses it
// with every capability.
func TestAttackOrphanNamespace(t *testing.T) {
	d := newDaemon(t)
	b := d.bottle(t, options{})
	ns := b.namespace(t)
	b.stop(t)
	orphan, free := place{ns: ns, root: true}.start(t), place{root: true}.start(t)
	for _, e := range escapes {
		attack.Stopped(t, "R16", e.name+" from the namespace of a stopped bottle", free.reaches(e.order, control), orphan.reaches(e.order, forbidden))
	}
}

// theft is a connection of a bottle's in the besieger's hand.
type theft struct {
	conn   *os.File
	stream *tlsStream
}

// steal takes a connection of the agent's, as pidfd_getfd(2) can, and speaks TLS on it.
func (b *besieged) steal(t testing.TB) *theft {
	t.Helper()
	at := b.must(t, order{Op: "lookup", Addr: allowedHost}).Body
	said := b.must(t, order{Op: "slow", Addr: strings.Fields(at)[0] + ":443", N: 1})
	if said.N != 1 {
		t.Fatal("no connection")
	}
	return takeSocket(t, b)
}
