// Package walls tests the two walls of a bottle together and each alone, on kernel
// objects made for it: namespace and rules (netns), eBPF programs (bpf), group
// (cgroup). It has no code of its own: neither wall may know of the other.
package walls

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"

	"bottled/bpf"
	"bottled/cgroup"
	"bottled/netns"
)

// bpffs is where the test mounts a BPF file system when the host has none.
var bpffs string

func TestMain(m *testing.M) {
	if os.Getenv(agentEnv) != "" {
		serveOrders()
		return
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
	if errors.Is(features.HaveProgramHelper(ebpf.CGroupSKB, asm.FnGetNetnsCookie), ebpf.ErrNotSupported) {
		fmt.Println("before Linux 6.15: only by marks")
		delete(bothWays, "cookie")
	}
	return m.Run()
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
		ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
		defer stop()
		if err := errors.Join(g.Kill(ctx), cgroup.Remove(ctx, g.Path()), g.Close()); err != nil {
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
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	if err := ns.Apply(plan); err != nil {
		t.Fatal(err)
	}
	return ns, plan
}

// attachment is what the programs are attached to, and for which namespace.
type attachment struct {
	group  *cgroup.Group
	ns     *netns.Namespace
	byMark bool // as on kernels that do not tell programs the namespace of a packet
}

func (a attachment) options(dir string) bpf.Options {
	return bpf.Options{
		CgroupFD:    a.group.FD(),
		NetnsCookie: a.ns.Cookie(),
		Addresses:   netns.Default().Addresses(),
		PinDir:      dir,
		ByMark:      a.byMark,
	}
}

func pinDir() string {
	return fmt.Sprintf("%s/walls-%d-%d", bpffs, os.Getpid(), serial())
}

// attach attaches the programs for the namespace to the group.
func attach(t testing.TB, g *cgroup.Group, ns *netns.Namespace) *bpf.Hooks {
	t.Helper()
	return attachment{group: g, ns: ns}.attach(t)
}

func (a attachment) attach(t testing.TB) *bpf.Hooks {
	t.Helper()
	dir := pinDir()
	h, err := bpf.Attach(a.options(dir))
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
