package bpf

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
)

// Feature is something the programs need from the kernel.
type Feature struct {
	Name   string // in a few words
	Detail string // what was found; empty when it is not there
	Err    error  // nil: it is there; wraps ebpf.ErrNotSupported: the kernel lacks it
	Fix    string // what to do when it is not there
}

const (
	fixConfig = "a kernel with CONFIG_BPF_SYSCALL and CONFIG_CGROUP_BPF; a service needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN"
	fixTrial  = "do what the message says; a service needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, and no PrivateUsers="
)

// needs are what can be asked for one by one, with the release that has it.
var needs = []struct {
	name, fix string
	find      func() error
}{
	{"socket programs", fixConfig, programs(ebpf.CGroupSock)},
	{"socket address programs", fixConfig, programs(ebpf.CGroupSockAddr)},
	{"packet programs", fixConfig, programs(ebpf.CGroupSKB)},
	{"sockops programs", fixConfig, programs(ebpf.SockOps)},
	{"namespace of sockets", "Linux 5.7 or later", helpers(asm.FnGetNetnsCookie, ebpf.CGroupSock, ebpf.CGroupSockAddr)},
	{"cookie of sockets", "Linux 5.7 or later", helpers(asm.FnGetSocketCookie, ebpf.CGroupSock, ebpf.CGroupSockAddr, ebpf.CGroupSKB, ebpf.SockOps)},
	{"process of sockets", "Linux 5.7 or later; a service needs CAP_PERFMON", helpers(asm.FnGetCurrentComm, ebpf.CGroupSock, ebpf.CGroupSockAddr)},
	{"ring buffers", "Linux 5.8 or later", tables(ebpf.RingBuf)},
	{"tables of addresses", fixConfig, tables(ebpf.LPMTrie)},
	{"tables that are replaced", fixConfig, tables(ebpf.ArrayOfMaps)},
}

// Probe tells what is there and what is missing. The last feature is a trial: the
// complete set is attached, pinned, verified and removed, with the options of a bottle
// that no process is in, and so is that of an enforcer. When that works, nothing is missing.
func Probe(o Options) []Feature {
	found := []Feature{feature("file system", filepath.Dir(o.PinDir), "mount -t bpf bpf "+Mounted, onFS(o.PinDir))}
	for _, n := range needs {
		found = append(found, feature(n.name, "there", n.fix, n.find()))
	}
	how, err := namespaceOfPackets(o)
	return append(found,
		feature("namespace of packets", how, "Linux 5.9 or later", err),
		feature("complete set", "attached, pinned and verified", fixTrial, trial(o)),
	)
}

func feature(name, detail, fix string, err error) Feature {
	if err != nil {
		detail = ""
	}
	return Feature{Name: name, Detail: detail, Err: err, Fix: fix}
}

func onFS(pins string) error {
	dir := filepath.Dir(pins)
	if !IsFS(dir) {
		return fmt.Errorf("%w: %q is not on one", ebpf.ErrNotSupported, dir)
	}
	return nil
}

func programs(kind ebpf.ProgramType) func() error {
	return func() error { return features.HaveProgramType(kind) }
}

func tables(kind ebpf.MapType) func() error {
	return func() error { return features.HaveMapType(kind) }
}

// helpers finds a helper in each kind of program.
func helpers(helper asm.BuiltinFunc, kinds ...ebpf.ProgramType) func() error {
	return func() error {
		for _, kind := range kinds {
			if err := features.HaveProgramHelper(kind, helper); err != nil {
				return fmt.Errorf("%v in %v programs: %w", helper, kind, err)
			}
		}
		return nil
	}
}

func namespaceOfPackets(o Options) (how string, err error) {
	byMark, err := needsMark(o)
	if err != nil || !byMark {
		return "by bpf_get_netns_cookie", err
	}
	return "by the marks of their sockets", helpers(asm.FnSkStorageGet, ebpf.CGroupSock, ebpf.CGroupSKB)()
}

func trial(o Options) error {
	h, err := Attach(o)
	if err != nil {
		return err
	}
	err = h.Verify(o.CgroupFD, o.NetnsCookie)
	if err == nil {
		err = tryFence(o)
	}
	return errors.Join(err, h.Close(), Remove(o.PinDir))
}

func tryFence(o Options) error {
	f, err := AttachFence(FenceOptions{CgroupFD: o.CgroupFD, PinDir: filepath.Join(o.PinDir, "enforcer")})
	if err != nil {
		return err
	}
	return errors.Join(f.Verify(o.CgroupFD), f.Close())
}
