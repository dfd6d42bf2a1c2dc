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
	Name string // in a few words
	Err  error  // nil: it is there; wraps ebpf.ErrNotSupported: the kernel lacks it
	Fix  string // what to do when it is not there
}

// Probe tells what is there and what is missing. The last feature is a trial: the
// complete set is attached, pinned, verified and removed, with the options of a bottle
// that no process is in. When that works, nothing is missing.
func Probe(o Options) []Feature {
	found := []Feature{{
		Name: "BPF file system",
		Err:  missing(IsFS(filepath.Dir(o.PinDir)), fmt.Sprintf("%q is not on one", o.PinDir)),
		Fix:  "mount -t bpf bpf " + Mounted,
	}}
	for _, p := range []struct {
		name string
		kind ebpf.ProgramType
	}{
		{"cgroup socket programs", ebpf.CGroupSock},
		{"cgroup socket address programs", ebpf.CGroupSockAddr},
		{"cgroup packet programs", ebpf.CGroupSKB},
	} {
		err := features.HaveProgramType(p.kind)
		found = append(found, Feature{p.name, err, "a kernel with CONFIG_CGROUP_BPF, and CAP_BPF"})
		if err == nil {
			err = features.HaveProgramHelper(p.kind, asm.FnGetNetnsCookie)
		}
		found = append(found, Feature{p.name + " know their namespace (bpf_get_netns_cookie)", err, "Linux 6.15 or later"})
	}
	return append(found,
		Feature{"socket operation programs", features.HaveProgramType(ebpf.SockOps), "a kernel with CONFIG_CGROUP_BPF, and CAP_BPF"},
		Feature{"ring buffers", features.HaveMapType(ebpf.RingBuf), "Linux 5.8 or later"},
		Feature{"the complete set attached as pinned links", trial(o), "what the message says; a service needs CAP_BPF and CAP_NET_ADMIN, and no PrivateUsers="},
	)
}

func missing(there bool, what string) error {
	if there {
		return nil
	}
	return fmt.Errorf("%w: %s", ebpf.ErrNotSupported, what)
}

func trial(o Options) error {
	h, err := Attach(o)
	if err != nil {
		return err
	}
	return errors.Join(h.Verify(o.CgroupFD, o.NetnsCookie), h.Close(), Remove(o.PinDir))
}
