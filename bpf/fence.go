package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
)

// FenceOptions say which enforcer the programs are for.
type FenceOptions struct {
	// CgroupFD is an open directory of the cgroup2 file system. It stays the
	// caller's. Attach before the enforcer reads what a stranger wrote: what it made
	// before is held, too, where it connects or sends.
	CgroupFD int

	// Reach is what the enforcer may reach at first.
	Reach Reach

	// PinDir is a directory on a BPF file system (see [FS]) that does not exist yet.
	PinDir string
}

// Fence is the programs and maps of one enforcer.
type Fence struct{ *set }

// fenceSpec is the parsed object file with its ranges, made once and copied for each.
var fenceSpec = sync.OnceValues(func() (*ebpf.CollectionSpec, error) {
	spec, err := loadFence()
	if err != nil {
		return nil, err
	}
	kinds := spec.Maps[fenceMapRanges]
	for text, class := range ranges {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, err
		}
		kinds.Contents = append(kinds.Contents, ebpf.MapKV{Key: keyOf(prefix), Value: uint8(class)})
	}
	return spec, nil
})

// AttachFence loads the programs, attaches the complete set to the cgroup and pins it.
// On an error nothing stays attached, loaded or pinned. It needs what [Attach] needs.
func AttachFence(o FenceOptions) (*Fence, error) {
	spec, err := fenceSpec()
	if err != nil {
		return nil, fmt.Errorf("the enforcer's programs: %w", err)
	}
	table, err := newTable(spec, o.Reach)
	if err != nil {
		return nil, err
	}
	defer table.Close()
	own := spec.Copy()
	own.Maps[fenceMapReach].Contents = []ebpf.MapKV{{Key: uint32(0), Value: table}}
	collection, err := ebpf.NewCollection(own)
	if err != nil {
		return nil, fmt.Errorf("load the enforcer's programs: %w: `bottled doctor` says what the kernel lacks", err)
	}
	// Links and pins hold what they need.
	defer collection.Close()
	if err := collection.Maps[fenceMapRanges].Freeze(); err != nil {
		return nil, fmt.Errorf("the enforcer's programs: ranges: %w", err)
	}
	s, err := ofEnforcer.attach(o.CgroupFD, o.PinDir, collection)
	if err != nil {
		return nil, err
	}
	return &Fence{s}, nil
}

// OpenFence finds what an earlier AttachFence pinned in dir, and checks it as [Open] does.
func OpenFence(dir string) (*Fence, error) {
	s, err := ofEnforcer.open(dir)
	if err != nil {
		return nil, err
	}
	return &Fence{s}, nil
}

// newTable makes a table of what may be reached. The caller closes it.
func newTable(spec *ebpf.CollectionSpec, r Reach) (*ebpf.Map, error) {
	entries, err := r.table()
	if err != nil {
		return nil, err
	}
	m, err := ebpf.NewMap(spec.Maps[fenceMapReach].InnerMap)
	if err != nil {
		return nil, fmt.Errorf("table of what the enforcer may reach: %w", err)
	}
	for k, s := range entries {
		if err := m.Put(k, uint8(s)); err != nil {
			return nil, errors.Join(fmt.Errorf("table of what the enforcer may reach: %w", err), m.Close())
		}
	}
	return m, nil
}

// Allow replaces what the enforcer may reach, as a whole. When it returns, no program
// looks at what was allowed before.
func (f *Fence) Allow(r Reach) error {
	spec, err := fenceSpec()
	if err != nil {
		return fmt.Errorf("the enforcer's programs: %w", err)
	}
	table, err := newTable(spec, r)
	if err != nil {
		return err
	}
	defer table.Close()
	// The kernel waits for the programs that run (kernel/bpf/syscall.c, maybe_wait_bpf_programs).
	if err := f.maps[fenceMapReach].Put(uint32(0), table); err != nil {
		return fmt.Errorf("replace what the enforcer may reach: %w", err)
	}
	return nil
}

// Reach reads back what the enforcer may reach.
func (f *Fence) Reach() (Reach, error) {
	fail := func(err error) (Reach, error) {
		return Reach{}, fmt.Errorf("read back what the enforcer may reach: %w", err)
	}
	var table *ebpf.Map
	if err := f.maps[fenceMapReach].Lookup(uint32(0), &table); err != nil {
		return fail(err)
	}
	defer table.Close()
	entries := make(map[openingKey]scope)
	var k openingKey
	var s uint8
	all := table.Iterate()
	for all.Next(&k, &s) {
		entries[k] = scope(s)
	}
	if err := all.Err(); err != nil {
		return fail(err)
	}
	return reachOf(entries), nil
}

// Verify checks with the kernel that every program runs for the cgroup.
func (f *Fence) Verify(cgroupFD int) error { return f.verify(cgroupFD) }

// Dump returns as text what is attached, what may be reached, and what was refused.
func (f *Fence) Dump() (string, error) {
	r, err := f.Reach()
	if err != nil {
		return "", err
	}
	var own strings.Builder
	for _, o := range r.Openings {
		fmt.Fprintf(&own, "may reach %s\n", o)
	}
	for _, a := range r.Resolvers {
		fmt.Fprintf(&own, "may ask %s\n", a)
	}
	return f.dump(own.String())
}
