package siege

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"

	"bottled/attack"
	"bottled/cgroup"
	"bottled/netns"
)

// agentArg0 is the name under which the test binary is the agent.
const agentArg0 = "siege-agent"

// order is what an agent is told, answer what came of it.
type order struct {
	Op      string            `json:"op"`
	URL     string            `json:"url,omitempty"`
	Network string            `json:"network,omitempty"`
	Addr    string            `json:"addr,omitempty"`
	Data    string            `json:"data,omitempty"`
	Header  map[string]string `json:"header,omitempty"`
	ID      string            `json:"id,omitempty"` // of what is kept from one order to the next
	N       int               `json:"n,omitempty"`
	Target  target            `json:"target,omitzero"`
}

type answerOf struct {
	Error  string            `json:"error,omitempty"`
	Status int               `json:"status,omitempty"`
	Body   string            `json:"body,omitempty"`
	N      int               `json:"n,omitempty"`
	Header map[string]string `json:"header,omitempty"`
	Prober proberReport      `json:"prober,omitzero"`
}

// agentMain obeys until its input ends.
func agentMain() int {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var o order
		switch err := in.Decode(&o); {
		case errors.Is(err, io.EOF):
			return 0
		case err != nil:
			fmt.Fprintln(os.Stderr, "agent:", err)
			return 1
		}
		a := answerOf{Error: "no such op"}
		if f, ok := ops[o.Op]; ok {
			a = f(o)
		}
		if err := out.Encode(a); err != nil {
			return 1
		}
	}
}

// agent is the besieger's end.
type agent struct {
	name string
	mu   sync.Mutex
	in   *json.Encoder
	out  *json.Decoder
	gone func() error
}

// do gives an order. An agent that does not answer has ended.
func (a *agent) do(o order) (answerOf, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var said answerOf
	if err := errors.Join(a.in.Encode(o), a.out.Decode(&said)); err != nil {
		return said, fmt.Errorf("the agent in %s is gone: %w", a.name, err)
	}
	if said.Error != "" {
		return said, errors.New(said.Error)
	}
	return said, nil
}

// must gives an order that has to succeed.
func (a *agent) must(t testing.TB, o order) answerOf {
	t.Helper()
	said, err := a.do(o)
	if err != nil {
		t.Fatalf("%s in %s: %v", o.Op, a.name, err)
	}
	return said
}

// reaches is the probe of an order at a target: it succeeds when something came out
// of the wire, whatever the agent was told.
func (a *agent) reaches(o order, tg target) attack.Probe {
	return func(*testing.T) error {
		m := tg.mark()
		o.Target = tg
		_, said := a.do(o)
		patience := attackPatience
		if tg == control {
			patience = controlPatience
		}
		if err := tg.since(m, patience); err != nil {
			if said != nil {
				return said
			}
			return err
		}
		return nil
	}
}

// place is where an agent runs outside a bottle's own init.
type place struct {
	ns   *netns.Namespace // nil: the host's
	cg   *cgroup.Group    // nil: the besieger's
	root bool             // with every capability
	uid  uint32           // else; 0 means 65534
	env  []string

	groups []uint32
}

// start starts an agent there, and ends it with the test.
func (p place) start(t testing.TB) *agent {
	t.Helper()
	cmd := exec.Command(world.agent)
	cmd.Env = append([]string{
		"SIEGE_RESOLVER=" + world.names.Addr(), "SSL_CERT_FILE=" + world.authorityFile(),
		"GODEBUG=asyncpreemptoff=1", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
	}, p.env...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = new(syscall.SysProcAttr)
	if p.cg != nil {
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, p.cg.FD()
	}
	if p.uid == 0 {
		p.uid = 65534
	}
	if !p.root {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: p.uid, Gid: p.uid, Groups: p.groups}
	}
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	start := cmd.Start
	if p.ns != nil {
		start = func() error { return p.ns.Do(cmd.Start) }
	}
	must(t, start())
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &agent{name: "no bottle", in: json.NewEncoder(in), out: json.NewDecoder(out), gone: cmd.Wait}
}

// outside starts an agent that nothing holds, for controls.
func outside(t testing.TB) *agent { return place{}.start(t) }
