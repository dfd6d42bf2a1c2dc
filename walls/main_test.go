// Package walls tests the two walls of a bottle together and each alone, on kernel
// objects made for it: namespace and rules (netns), eBPF programs (bpf), group
// (cgroup). It has no code of its own: neither wall may know of the other.
package walls

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"bottled/bpf"
	"bottled/cgroup"
	"bottled/netns"
)

// probeEnv makes the test binary a probe: it holds the probe's name and target.
const probeEnv = "BOTTLED_WALLS_PROBE"

// bpffs is where the test mounts a BPF file system when the host has none.
var bpffs string

func TestMain(m *testing.M) {
	if order := os.Getenv(probeEnv); order != "" {
		os.Exit(obey(order))
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "bottled-walls-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	bpffs, err = bpf.FS(dir)
	if err != nil {
		panic(err)
	}
	if bpffs == dir {
		defer unix.Unmount(dir, unix.MNT_DETACH)
	}
	return m.Run()
}

// order is what a probe is told, and its name.
type order struct {
	Probe  string
	Target string
}

func obey(text string) int {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		panic(err)
	}
	if err := probes[o.Probe](o.Target); err != nil {
		fmt.Print(err)
		return 1
	}
	return 0
}

// actor says as whom and where a probe runs.
type actor struct {
	ns   *netns.Namespace
	cg   *cgroup.Group // nil: that of the test
	root bool          // with all capabilities, else uid 65534 with none
}

// run starts the probe in its namespace and group and returns what it said. A probe that
// does not come to an end is an error of the test.
func (a actor) run(t *testing.T, probe, target string) error {
	t.Helper()
	text, err := json.Marshal(order{probe, target})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = []string{probeEnv + "=" + string(text)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if a.cg != nil {
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, a.cg.FD()
	}
	if !a.root {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	var said []byte
	err = a.ns.Do(func() (err error) {
		said, err = cmd.Output()
		return err
	})
	if exit := new(exec.ExitError); errors.As(err, &exit) && exit.ExitCode() == 1 {
		return errors.New(string(said))
	}
	if err != nil {
		t.Fatalf("probe %s to %s: %v", probe, target, err)
	}
	return nil
}

// newGroup makes a group for a test and removes it after.
func newGroup(t testing.TB) *cgroup.Group {
	t.Helper()
	base, err := cgroup.Base()
	if err != nil {
		t.Fatal(err)
	}
	g, err := cgroup.Create(fmt.Sprintf("%s/walls-%d-%d", base, os.Getpid(), serial()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(g.Kill(t.Context()), cgroup.Remove(t.Context(), g.Path()), g.Close()); err != nil {
			t.Error(err)
		}
	})
	return g
}

var serials int

func serial() int { serials++; return serials }

// newBottle makes a namespace as every bottle has it.
func newBottle(t testing.TB) (*netns.Namespace, netns.Plan) {
	t.Helper()
	plan := netns.Default()
	ns, err := netns.Create(plan)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return ns, plan
}

// attachment is what the programs are attached to, and for which namespace.
type attachment struct {
	group *cgroup.Group
	ns    *netns.Namespace
}

func (a attachment) options(dir string) bpf.Options {
	return bpf.Options{
		CgroupFD:    a.group.FD(),
		NetnsCookie: a.ns.Cookie(),
		Addresses:   netns.Default().Addresses(),
		PinDir:      dir,
	}
}

func pinDir() string {
	return fmt.Sprintf("%s/walls-%d-%d", bpffs, os.Getpid(), serial())
}

// attach attaches the programs for the namespace to the group.
func attach(t testing.TB, g *cgroup.Group, ns *netns.Namespace) *bpf.Hooks {
	t.Helper()
	dir := pinDir()
	h, err := bpf.Attach(attachment{g, ns}.options(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(h.Close(), bpf.Remove(dir)); err != nil {
			t.Error(err)
		}
	})
	return h
}
