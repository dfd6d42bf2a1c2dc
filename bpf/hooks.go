package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Options say which bottle the programs are for.
type Options struct {
	// CgroupFD is an open directory of the cgroup2 file system. It stays the
	// caller's. Attach before a process in it makes its first socket: hooks follow
	// the cgroup in which a socket was made.
	CgroupFD int

	// NetnsCookie is the cookie of the bottle's network namespace (SO_NETNS_COOKIE).
	// Zero is an error.
	NetnsCookie uint64

	// Addresses are the bottle's own, at most one of each family. UDP to them is
	// allowed, and binding to them. Loopback always is.
	Addresses []netip.Addr

	// ByMark makes the programs know a packet by the mark of its socket, as they do on
	// kernels before 6.15 in any case.
	ByMark bool

	// PinDir is a directory on a BPF file system (see [FS]) that does not exist yet.
	PinDir string
}

// Hooks are the programs and maps of one bottle.
type Hooks struct{ *set }

// spec is the parsed object file, made once and copied for each bottle.
var spec = sync.OnceValues(loadPrograms)

// Attach loads the programs, attaches the complete set to the cgroup and pins it. On
// an error nothing stays attached, loaded or pinned.
//
// It needs CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN (CAP_SYS_ADMIN stands in for the first
// two) and, for pinning, a BPF file system that it can write to.
func Attach(o Options) (*Hooks, error) {
	if o.NetnsCookie == 0 {
		return nil, errors.New("attach the bottle's programs: the cookie of the namespace is zero: ask the namespace for it before attaching")
	}
	collection, err := load(o)
	if err != nil {
		return nil, err
	}
	// Links and pins hold what they need.
	defer collection.Close()
	s, err := ofBottle.attach(o.CgroupFD, o.PinDir, collection)
	if err != nil {
		return nil, err
	}
	return &Hooks{s}, nil
}

func load(o Options) (*ebpf.Collection, error) {
	parsed, err := spec()
	if err != nil {
		return nil, fmt.Errorf("the bottle's programs: %w", err)
	}
	byMark, err := needsMark(o)
	if err != nil {
		return nil, fmt.Errorf("the bottle's programs: %w", err)
	}
	constants := programsBottle{NetnsCookie: o.NetnsCookie}
	if byMark {
		constants.ByMark = 1
	}
	for _, a := range o.Addresses {
		own := &constants.Own6.Word
		if a.Unmap().Is4() {
			own = &constants.Own4.Word
		}
		if *own != [4]uint32{} {
			return nil, fmt.Errorf("the bottle's programs: second address of a family: %v", a)
		}
		*own = words(a)
	}
	bottle := parsed.Copy()
	if err := bottle.Variables["home"].Set(constants); err != nil {
		return nil, fmt.Errorf("the bottle's programs: constants: %w", err)
	}
	collection, err := ebpf.NewCollection(bottle)
	if err != nil {
		return nil, fmt.Errorf("load the bottle's programs: %w: `bottled doctor` says what the kernel lacks", err)
	}
	return collection, nil
}

// Open finds what an earlier Attach pinned in dir, and checks that every hook is
// there, is of the right kind, and that all are attached to one and the same cgroup.
// Use [Hooks.Verify] to check that it is the expected one.
func Open(dir string) (*Hooks, error) {
	s, err := ofBottle.open(dir)
	if err != nil {
		return nil, err
	}
	return &Hooks{s}, nil
}

// Verify checks with the kernel that every program runs for the cgroup and holds it
// to the namespace.
func (h *Hooks) Verify(cgroupFD int, netnsCookie uint64) error {
	if err := h.verify(cgroupFD); err != nil {
		return err
	}
	cookie, err := h.NetnsCookie()
	if err != nil {
		return err
	}
	if cookie != netnsCookie || cookie == 0 {
		return fmt.Errorf("verify the bottle's programs: they hold to namespace %d, not to %d", cookie, netnsCookie)
	}
	return nil
}

// FlowsFD returns a new read-only descriptor of the table of flows, for [NewFlows]. It
// is close-on-exec and the caller's.
func (h *Hooks) FlowsFD() (int, error) {
	return unix.FcntlInt(uintptr(h.maps[programsMapFlows].FD()), unix.F_DUPFD_CLOEXEC, 3)
}

// Flow returns who opened the connection from local, the bottle's side, to remote.
func (h *Hooks) Flow(local, remote netip.AddrPort) (Flow, bool) {
	return (&Flows{h.maps[programsMapFlows]}).Flow(local, remote)
}
