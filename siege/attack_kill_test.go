package siege

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"bottled/api"
	"bottled/attack"
)

// stepsOf returns the points of a start, an update and a release, in order, as a daemon
// passes them when nothing is in their way.
func stepsOf(t *testing.T) map[string][]point {
	t.Helper()
	d := newDaemon(t)
	b := d.bottle(t, options{})
	b.update(t, d, otherRoute, nil)
	b.stop(t)
	steps := make(map[string][]point)
	for _, p := range d.passed() {
		if p.Operation != ready.Operation {
			steps[p.Operation] = append(steps[p.Operation], p)
		}
	}
	for _, operation := range []string{"start", "update", "release"} {
		if len(steps[operation]) < 2 {
			t.Fatalf("the daemon halted at %v: no %s among them", d.passed(), operation)
		}
	}
	return steps
}

// underTraffic is a bottle whose prober runs, on a daemon.
func underTraffic(t *testing.T) (*daemon, *besieged) {
	t.Helper()
	d := newDaemon(t)
	b := d.bottle(t, options{name: "traffic"})
	note(t, d.config)
	b.probe(t, forbidden)
	b.allowed(t, 1)
	return d, b
}

// closedAllAlong is the row of a siege under traffic: outside, a prober gets through;
// in the bottle, none of its attempts did from the beginning to the end of what is done.
func closedAllAlong(t *testing.T, id, name string, b *besieged, do func(*testing.T)) {
	t.Helper()
	attack.Stopped(t, id, name,
		func(t *testing.T) error {
			a := outside(t)
			m := control.mark()
			a.probe(t, control)
			return control.since(m, controlPatience)
		},
		func(t *testing.T) error {
			m := forbidden.mark()
			do(t)
			if forbidden.since(m, attackPatience) == nil {
				return nil
			}
			r, err := b.do(order{Op: "report"})
			if err != nil {
				return fmt.Errorf("nothing reached the wire; %w", err)
			}
			if r.Prober.Reached > 0 {
				return nil
			}
			return fmt.Errorf("%d attempts, none reached the wire; the last: %s", r.Prober.Rounds, r.Prober.Last)
		})
}

// pidsIn are the processes in a group of the daemon's bottles, by what it is for, but for
// those of the bottles to spare.
func pidsIn(t testing.TB, c daemonConfig, kind string, spare ...*besieged) []int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(c.cgroups(), "*", kind, "cgroup.procs"))
	must(t, err)
	var pids []int
next:
	for _, file := range files {
		for _, b := range spare {
			if strings.Contains(file, b.ID) {
				continue next
			}
		}
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for _, word := range strings.Fields(string(text)) {
			pid, err := strconv.Atoi(word)
			must(t, err)
			pids = append(pids, pid)
		}
	}
	return pids
}

// TestAttackKilledDaemon kills the daemon before each step of a start, of an update of
// routes, and of a stop, and after the last. The bottle that runs meanwhile stays closed
// and goes on; the next daemon leaves nothing of the other.
func TestAttackKilledDaemon(t *testing.T) {
	steps := stepsOf(t)
	d, traffic := underTraffic(t)
	ctx := context.Background()
	for _, operation := range []string{"start", "update", "release"} {
		last := point{Operation: operation, Step: len(steps[operation]) + 1, Name: "done"}
		for _, at := range append(steps[operation], last) {
			closedAllAlong(t, "R03", "daemon killed at "+at.String(), traffic, func(t *testing.T) {
				var victim *besieged
				if operation != "start" {
					victim = d.bottle(t, options{name: "victim"})
				}
				halted := make(chan point, 1)
				d.on(at, func(p point) { note(t, d.config); halted <- p; _ = d.cmd.Process.Kill() })
				var err error
				switch operation {
				case "start":
					_, err = d.create(t, options{name: "victim"})
				case "update":
					_, err = d.UpdateRoutes(ctx, victim.ID, api.RoutesRequest{Manifest: manifest(otherRoute, "")})
				case "release":
					err = d.Stop(ctx, victim.ID, api.StopRequest{})
				}
				switch {
				case at != last && (err == nil || len(halted) == 0):
					t.Errorf("the daemon was not killed at the step: %v", err)
				case at == last && err != nil:
					t.Errorf("after the last step: %v", err)
				}
				note(t, d.config)
				d.kill()
				traffic.rounds(t, 50) // with no daemon
				traffic.allowed(t, 1)
				d = d.again(t)
				traffic.d = d
				living := []*besieged{traffic}
				if list, err := d.List(ctx, false); err != nil {
					t.Error(err)
				} else if victim, err = survivor(d, list, victim); err != nil {
					t.Error(err)
				} else if victim != nil {
					living = append(living, victim)
				}
				nothingLeft(t, d.config, living...)
				if err := d.Stop(ctx, "victim", api.StopRequest{}); err != nil {
					t.Error(err)
				}
				nothingLeft(t, d.config, traffic)
				traffic.rounds(t, 20)
			})
		}
	}
}

// survivor finds the victim among the bottles of a daemon: it may have been whole.
func survivor(d *daemon, list []api.Bottle, victim *besieged) (*besieged, error) {
	var found *besieged
	for _, b := range list {
		if b.Name != "victim" {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("two victims: %+v", list)
		}
		found = &besieged{d: d, Bottle: b}
		if victim != nil {
			found.agent = victim.agent
		}
	}
	return found, nil
}

// TestAttackKilledParts kills the enforcer, and the first process of the bottle, at each
// step of an update and of a stop, and of the start where there is one. A bottle that
// loses either ends; what it leaves is nothing, and the one beside it does not notice.
func TestAttackKilledParts(t *testing.T) {
	steps := stepsOf(t)
	d, traffic := underTraffic(t)
	ctx := context.Background()
	for _, part := range []struct {
		name, group, from string // and the first step of a start at which it is there
	}{{"enforcer", "worker", "worker"}, {"init", "bottle", "worker"}} {
		var points []point
		for i, p := range steps["start"] {
			if p.Name == part.from {
				points = append(points, steps["start"][i:]...)
			}
		}
		for _, at := range append(append(points, steps["update"]...), steps["release"]...) {
			closedAllAlong(t, "R03", part.name+" killed at "+at.String(), traffic, func(t *testing.T) {
				var killed atomic.Int32
				attempt := func(point) {
					note(t, d.config)
					for _, pid := range pidsIn(t, d.config, part.group, traffic) {
						if syscall.Kill(pid, syscall.SIGKILL) == nil {
							killed.Add(1)
						}
					}
				}
				if at.Operation == "start" {
					d.on(at, attempt)
				}
				victim, err := d.create(t, options{name: "victim"})
				if at.Operation != "start" {
					must(t, err)
					d.on(at, attempt)
				}
				switch at.Operation {
				case "update":
					_, _ = d.UpdateRoutes(ctx, victim.ID, api.RoutesRequest{Manifest: manifest(otherRoute, "")})
				case "release":
					must(t, d.Stop(ctx, victim.ID, api.StopRequest{}))
				}
				if killed.Load() == 0 && at.Operation != "release" { // there it may have ended already
					t.Error("nothing was there to kill")
				}
				if err == nil { // it came to be, and has to end by itself
					if _, err := d.Wait(ctx, victim.ID, false); err != nil {
						t.Error(err)
					}
				}
				nothingLeft(t, d.config, traffic)
				traffic.rounds(t, 10)
			})
		}
	}
}
