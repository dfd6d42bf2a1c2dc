package bpf

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
)

// needsMark says whether the packets of a socket are to be known by a mark that the
// socket got when it was made, because the kernel does not tell their namespace. When
// the kernel cannot be asked, that is an error: neither way is then known to hold.
func needsMark(o Options) (bool, error) {
	if o.ByMark {
		return true, nil
	}
	err := features.HaveProgramHelper(ebpf.CGroupSKB, asm.FnGetNetnsCookie)
	if errors.Is(err, ebpf.ErrNotSupported) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask whether programs learn the namespace of a packet: %w", err)
	}
	return false, nil
}

// ByMark says whether the programs know the packets of the bottle by the marks of
// their sockets, and not by what the kernel says.
func (h *Hooks) ByMark() (bool, error) {
	value, err := h.constants()
	if err != nil {
		return false, err
	}
	at := int(unsafe.Offsetof(programsBottle{}.ByMark))
	// Those that an earlier version attached have no such constant, and no marks.
	return len(value) > at && value[at] != 0, nil
}
