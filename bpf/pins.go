package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf/link"
)

// ErrIncomplete says that pins are missing or are not those of a set, for instance
// because the process that attached them was killed. Such a bottle is not enforced by
// this wall: stop it, then Remove the directory.
var ErrIncomplete = errors.New("not the complete set of programs")

// Remove detaches the programs that are pinned in dir and in the directories below it,
// also an incomplete set, and deletes dir. That dir does not exist is no error.
func Remove(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove programs: %w", err)
	}
	var errs []error
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() {
			errs = append(errs, Remove(path))
			continue
		}
		// A descriptor elsewhere would keep the program attached without its pin.
		if l, err := link.LoadPinnedLink(path, nil); err == nil {
			errs = append(errs, l.Detach(), l.Close())
		}
		errs = append(errs, os.Remove(path))
	}
	if err := errors.Join(append(errs, os.Remove(dir))...); err != nil {
		return fmt.Errorf("remove programs in %q: %w", dir, err)
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
	value, err := h.maps[".rodata"].LookupBytes(uint32(0))
	if err == nil && len(value) < 8 {
		err = ErrIncomplete
	}
	if err != nil {
		return nil, fmt.Errorf("constants of the bottle's programs: %w", err)
	}
	return value, nil
}
