package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kinds are the requests that are measured, under the names that load knows.
var kinds = []kind{
	{"get", "keep-alive HTTP/1.1, 1 KiB down"},
	{"post", "keep-alive HTTP/1.1, 1 KiB of JSON up and 1 KiB down"},
	{"download", "keep-alive HTTP/1.1, 1 MiB down"},
	{"h2", "HTTP/2, one connection, 1 KiB down"},
	{"new", "new TLS connections, 1 KiB down"},
}

type kind struct{ name, title string }

// turns is how often each way is measured; the median counts.
const turns = 3

// way is one of the ways from the client to the upstream.
type way struct {
	command func(args ...string) *exec.Cmd // runs the client
	middle  []int                          // the processes whose time counts
	rates   []float64                      // answers a second
	costs   [][]time.Duration              // of one answer, for each of middle
}

// requests sends requests of a kind through a bottle, through the relay, and directly,
// in turn.
func (w *world) requests(k kind, length time.Duration) error {
	if err := w.prepare(); err != nil {
		return err
	}
	bottle := &way{command: w.inside, middle: []int{w.worker, w.daemon.Process.Pid}}
	relay := &way{command: w.outside(w.relayed), middle: []int{w.relay.Process.Pid}}
	direct := &way{command: w.outside(w.address)}
	for range turns {
		for _, way := range []*way{bottle, relay, direct} {
			if err := way.measure(k, length/turns, w.host()); err != nil {
				return err
			}
		}
	}
	rate, cost := middling(bottle.rates), bottle.cost(0)
	fmt.Printf("%s: %.0f/s through a bottle, %.0f/s through a plain relay (ratio %.2f), %.0f/s without (ratio %.2f); "+
		"processor time of a request: enforcer %.1f µs, daemon %.1f µs, relay %.1f µs (relay to enforcer %.2f)\n",
		k.title, rate, middling(relay.rates), rate/middling(relay.rates), middling(direct.rates), rate/middling(direct.rates),
		µs(cost), µs(bottle.cost(1)), µs(relay.cost(0)), float64(relay.cost(0))/float64(cost))
	return nil
}

func (y *way) measure(k kind, length time.Duration, host string) error {
	before := make([]time.Duration, len(y.middle))
	for i, pid := range y.middle {
		var err error
		if before[i], err = used(pid); err != nil {
			return err
		}
	}
	cmd := y.command("-for", length.String(), k.name, host)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	var answers, took int64
	if _, err := fmt.Sscan(string(out), &answers, &took); err != nil || answers == 0 {
		return fmt.Errorf("the client said %q: %w", out, err)
	}
	y.rates = append(y.rates, float64(answers)/time.Duration(took).Seconds())
	var costs []time.Duration
	for i, pid := range y.middle {
		after, err := used(pid)
		if err != nil {
			return err
		}
		costs = append(costs, (after-before[i])/time.Duration(answers))
	}
	y.costs = append(y.costs, costs)
	return nil
}

// cost is what a request costs the i-th process of the middle.
func (y *way) cost(i int) time.Duration {
	var all []time.Duration
	for _, turn := range y.costs {
		all = append(all, turn[i])
	}
	return quantile(all, 50)
}

func middling(rates []float64) float64 { return slices.Sorted(slices.Values(rates))[len(rates)/2] }

func µs(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// prepare starts the bottle that requests come from and the relay, and puts what is in
// the middle on its processor.
func (w *world) prepare() error {
	if w.worker != 0 {
		return nil
	}
	set, err := newProcessors()
	if err != nil {
		return err
	}
	if !set.alone() {
		fmt.Println("one processor only: client, upstream and what is between them share it, and the rates say little")
	}
	for _, pid := range []int{os.Getpid(), w.daemon.Process.Pid, w.upstream.Process.Pid} {
		if err := pin(pid, set.ends); err != nil {
			return err
		}
	}
	id, err := w.run([]string{"--detach"}, "sleep", "3600").Output()
	if err != nil {
		return err
	}
	w.bottle = strings.TrimSpace(string(id))
	if w.relay, w.relayed, err = w.start("relay", w.address); err != nil {
		return err
	}
	if w.worker, err = workerOf(w.bottle); err != nil {
		return err
	}
	for _, pid := range []int{w.worker, w.relay.Process.Pid} {
		if err := pin(pid, set.middle); err != nil {
			return err
		}
	}
	return nil
}

// workerOf finds the enforcer of a bottle by the names of its cgroup and itself.
func workerOf(bottle string) (int, error) {
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, dir := range procs {
		group, err := os.ReadFile(filepath.Join(dir, "cgroup"))
		if err != nil || !strings.Contains(string(group), "/"+bottle+"/") {
			continue
		}
		if args, err := os.ReadFile(filepath.Join(dir, "cmdline")); err == nil && strings.HasPrefix(string(args), "bottled-worker\x00") {
			return strconv.Atoi(filepath.Base(dir))
		}
	}
	return 0, fmt.Errorf("bottle %s has no enforcer", bottle)
}

// inside is the client in the bottle.
func (w *world) inside(args ...string) *exec.Cmd {
	return exec.Command(w.bottled, append([]string{"exec", "--socket", w.socket, w.bottle, "--", w.loader(), "load"}, args...)...)
}

// outside is the same client without a bottle, connecting to address.
func (w *world) outside(address string) func(args ...string) *exec.Cmd {
	return func(args ...string) *exec.Cmd {
		return exec.Command(w.loader(), append([]string{"load", "-roots", filepath.Join(w.dir, "ca.pem"), "-dial", address}, args...)...)
	}
}
