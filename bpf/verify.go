package bpf

import (
	"fmt"
	"slices"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// CgroupID returns the id of the cgroup to which all programs are attached. It is
// an error when one of them is detached, or attached elsewhere or otherwise.
func (h *Hooks) CgroupID() (uint64, error) {
	var id uint64
	for _, hook := range hooks {
		info, err := h.links[hook.name].Info()
		if err != nil {
			return 0, fmt.Errorf("%s: %w", hook.name, err)
		}
		cgroup := info.Cgroup()
		switch {
		case cgroup == nil || uint32(cgroup.AttachType) != uint32(hook.attach):
			return 0, fmt.Errorf("%w: %s is a link of another kind", ErrIncomplete, hook.name)
		case cgroup.CgroupId == 0:
			return 0, fmt.Errorf("%w: %s is detached", ErrIncomplete, hook.name)
		case id != 0 && cgroup.CgroupId != id:
			return 0, fmt.Errorf("%w: %s is attached to cgroup %d, others to %d", ErrIncomplete, hook.name, cgroup.CgroupId, id)
		}
		id = cgroup.CgroupId
	}
	return id, nil
}

// Verify checks with the kernel that every program runs for the cgroup and holds it
// to the namespace.
func (h *Hooks) Verify(cgroupFD int, netnsCookie uint64) error {
	var stat unix.Stat_t
	if err := unix.Fstat(cgroupFD, &stat); err != nil {
		return fmt.Errorf("verify the bottle's programs: cgroup: %w", err)
	}
	id, err := h.CgroupID()
	if err != nil {
		return fmt.Errorf("verify the bottle's programs: %w", err)
	}
	// The id of a cgroup is its inode (kernel/cgroup/cgroup.c, cgroup_id).
	if id != stat.Ino {
		return fmt.Errorf("verify the bottle's programs: attached to cgroup %d, not to %d", id, stat.Ino)
	}
	cookie, err := h.NetnsCookie()
	if err != nil {
		return err
	}
	if cookie != netnsCookie || cookie == 0 {
		return fmt.Errorf("verify the bottle's programs: they hold to namespace %d, not to %d", cookie, netnsCookie)
	}
	for _, hook := range hooks {
		info, err := h.links[hook.name].Info()
		if err != nil {
			return fmt.Errorf("verify the bottle's programs: %s: %w", hook.name, err)
		}
		attached, err := link.QueryPrograms(link.QueryOptions{Target: cgroupFD, Attach: hook.attach})
		if err != nil {
			return fmt.Errorf("verify the bottle's programs: %s: %w", hook.name, err)
		}
		if !slices.ContainsFunc(attached.Programs, func(p link.AttachedProgram) bool { return p.ID == info.Program }) {
			return fmt.Errorf("verify the bottle's programs: %w: %s does not run for the cgroup", ErrIncomplete, hook.name)
		}
	}
	return nil
}
