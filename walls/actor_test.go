package walls

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"bottled/cgroup"
	"bottled/netns"
)

// agentEnv makes the test binary an agent: a process that runs probes on order. It is
// born in its namespace and group and stays there until its input ends.
const agentEnv = "BOTTLED_WALLS_AGENT"

// actor says as whom and where a probe runs.
type actor struct {
	ns   *netns.Namespace
	cg   *cgroup.Group // nil: that of the test
	root bool          // with all capabilities, else uid 65534 with none
}

// order is what an agent is told; answer what it says: empty when the kernel took it.
type (
	order  struct{ Probe, Target string }
	answer struct{ Error string }
)

func serveOrders() {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var o order
		if err := in.Decode(&o); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			panic(err)
		}
		var a answer
		if err := probes[o.Probe](o.Target); err != nil {
			a.Error = err.Error()
		}
		if err := out.Encode(a); err != nil {
			panic(err)
		}
	}
}

// agent is a running one.
type agent struct {
	in  *json.Encoder
	out *json.Decoder
	end func() error
}

// agents are kept from one probe to the next: a process costs more than a probe. They
// end with their group, or with the test binary.
var agents = make(map[actor]*agent)

// run has the probe run by the actor's agent, and returns what the kernel said.
func (a actor) run(t *testing.T, probe, target string) error {
	t.Helper()
	kept := agents[a]
	if kept == nil {
		kept = a.start(t)
		agents[a] = kept
	}
	return kept.run(t, probe, target)
}

// runAlone has the probe run by a process of its own.
func (a actor) runAlone(t *testing.T, probe, target string) error {
	t.Helper()
	own := a.start(t)
	said := own.run(t, probe, target)
	if err := own.end(); err != nil {
		t.Error(err)
	}
	return said
}

func (a actor) start(t *testing.T) *agent {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	// The runtime's own signals would interrupt a probe's connect(2).
	cmd.Env = []string{agentEnv + "=1", "GODEBUG=asyncpreemptoff=1"}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = new(syscall.SysProcAttr)
	if a.cg != nil {
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, a.cg.FD()
	}
	if !a.root {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, a.ns.Do(cmd.Start))
	return &agent{
		in:  json.NewEncoder(in),
		out: json.NewDecoder(out),
		end: func() error { return errors.Join(in.Close(), cmd.Wait()) },
	}
}

// run: a probe that does not come to an end is an error of the test.
func (a *agent) run(t *testing.T, probe, target string) error {
	t.Helper()
	var said answer
	if err := errors.Join(a.in.Encode(order{probe, target}), a.out.Decode(&said)); err != nil {
		t.Errorf("probe %s to %s: %v", probe, target, err)
		return nil
	}
	if said.Error != "" {
		return errors.New(said.Error)
	}
	return nil
}
