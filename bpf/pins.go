package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// mapPins has the name of the pin for each map: bpffs refuses a dot in a name.
var mapPins = map[string]string{
	".rodata":           "constants",
	programsMapCounts:   "counts",
	programsMapFlows:    "flows",
	programsMapOwners:   "owners",
	programsMapRefusals: "refusals",
}

// ErrIncomplete says that pins are missing or are not those of a bottle, for
// instance because the process that attached them was killed. Such a bottle is not
// enforced by this wall: stop it, then Remove the directory.
var ErrIncomplete = errors.New("not the complete set of the bottle's programs")

// Open finds what an earlier Attach pinned in dir, and checks that every hook is
// there, is of the right kind, and that all are attached to one and the same cgroup.
// Use [Hooks.Verify] to check that it is the expected one.
func Open(dir string) (_ *Hooks, err error) {
	h := &Hooks{dir: dir, links: make(map[Hook]link.Link)}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("the bottle's programs in %q: %w", dir, err), h.Close())
		}
	}()
	for _, hook := range hooks {
		l, err := link.LoadPinnedLink(filepath.Join(dir, string(hook.name)), nil)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrIncomplete, hook.name, err)
		}
		h.links[hook.name] = l
	}
	for name, m := range map[string]**ebpf.Map{
		".rodata":           &h.rodata,
		programsMapCounts:   &h.counts,
		programsMapFlows:    &h.flows,
		programsMapOwners:   &h.owners,
		programsMapRefusals: &h.refusals,
	} {
		// The ring is consumed, so it alone is opened for writing.
		opts := &ebpf.LoadPinOptions{ReadOnly: name != programsMapRefusals}
		*m, err = ebpf.LoadPinnedMap(filepath.Join(dir, mapPins[name]), opts)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrIncomplete, mapPins[name], err)
		}
	}
	_, err = h.CgroupID()
	return h, err
}

// Remove detaches the programs that are pinned in dir, also an incomplete set, and
// deletes dir. That dir does not exist is no error.
func Remove(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove the bottle's programs: %w", err)
	}
	var errs []error
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		// A descriptor elsewhere would keep the program attached without its pin.
		if l, err := link.LoadPinnedLink(path, nil); err == nil {
			errs = append(errs, l.Detach(), l.Close())
		}
		errs = append(errs, os.Remove(path))
	}
	if err := errors.Join(append(errs, os.Remove(dir))...); err != nil {
		return fmt.Errorf("remove the bottle's programs in %q: %w", dir, err)
	}
	return nil
}

// NetnsCookie returns the cookie of the namespace that the programs hold to.
func (h *Hooks) NetnsCookie() (uint64, error) {
	value, err := h.constants()
	if err != nil {
		return 0, err
	}
	return binary.NativeEndian.Uint64(value), nil
}

// constants returns what src/policy.h calls home, at least its first member.
func (h *Hooks) constants() ([]byte, error) {
	value, err := h.rodata.LookupBytes(uint32(0))
	if err == nil && len(value) < 8 {
		err = ErrIncomplete
	}
	if err != nil {
		return nil, fmt.Errorf("constants of the bottle's programs: %w", err)
	}
	return value, nil
}
