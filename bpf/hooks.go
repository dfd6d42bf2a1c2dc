package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Options say which bottle the programs are for.
type Options struct {
	// CgroupFD is an open directory of the cgroup2 file system. It stays the
	// caller's. Attach before the first process enters: hooks follow the cgroup in
	// which a socket was made.
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
type Hooks struct {
	dir      string
	links    map[Hook]link.Link
	rodata   *ebpf.Map
	counts   *ebpf.Map
	flows    *ebpf.Map // read-only descriptor
	owners   *ebpf.Map
	refusals *ebpf.Map
}

// spec is the parsed object file, made once and copied for each bottle.
var spec = sync.OnceValues(loadPrograms)

// attachFault is called before each step of Attach. Tests make one of them fail.
var attachFault = func(step string) error { return nil }

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
	if err := os.Mkdir(o.PinDir, 0o700); err != nil {
		return nil, fmt.Errorf("attach the bottle's programs: pins at %q: %w: a bottle that is already there is opened or removed, never attached twice", o.PinDir, err)
	}
	if err := attach(o, collection); err != nil {
		return nil, errors.Join(fmt.Errorf("attach the bottle's programs: %w", err), Remove(o.PinDir))
	}
	h, err := Open(o.PinDir)
	if err != nil {
		return nil, errors.Join(err, Remove(o.PinDir))
	}
	return h, nil
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

func attach(o Options, c *ebpf.Collection) error {
	for _, hook := range hooks {
		if err := attachFault("link " + string(hook.name)); err != nil {
			return err
		}
		l, err := link.AttachCgroup(link.CgroupOptions{
			Path:    filepath.Join("/proc/self/fd", strconv.Itoa(o.CgroupFD)),
			Attach:  hook.attach,
			Program: c.Programs[string(hook.name)],
		})
		if err != nil {
			return fmt.Errorf("%s: %w", hook.name, err)
		}
		err = l.Pin(filepath.Join(o.PinDir, string(hook.name)))
		// Without its pin the link ends with its last descriptor.
		if err := errors.Join(err, l.Close()); err != nil {
			return fmt.Errorf("pin %s: %w", hook.name, err)
		}
	}
	for name, pin := range mapPins {
		if err := attachFault("map " + pin); err != nil {
			return err
		}
		if err := c.Maps[name].Pin(filepath.Join(o.PinDir, pin)); err != nil {
			return fmt.Errorf("pin %s: %w", pin, err)
		}
	}
	return nil
}

// Close gives the descriptors back. The programs stay attached.
func (h *Hooks) Close() error {
	var errs []error
	for _, l := range h.links {
		errs = append(errs, l.Close())
	}
	for _, m := range []*ebpf.Map{h.rodata, h.counts, h.flows, h.owners, h.refusals} {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}
