package bpf

import (
	"fmt"
	"slices"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// CgroupID returns the id of the cgroup to which all programs are attached. It is
// an error when one of them is detached, or attached elsewhere or otherwise.
func (s *set) CgroupID() (uint64, error) {
	var id uint64
	for _, hook := range s.kind.hooks {
		info, err := s.links[hook].Info()
		if err != nil {
			return 0, fmt.Errorf("%s: %w", hook, err)
		}
		cgroup := info.Cgroup()
		switch {
		case cgroup == nil || uint32(cgroup.AttachType) != uint32(attachTypes[hook]):
			return 0, fmt.Errorf("%w: %s is a link of another kind", ErrIncomplete, hook)
		case cgroup.CgroupId == 0:
			return 0, fmt.Errorf("%w: %s is detached", ErrIncomplete, hook)
		case id != 0 && cgroup.CgroupId != id:
			return 0, fmt.Errorf("%w: %s is attached to cgroup %d, others to %d", ErrIncomplete, hook, cgroup.CgroupId, id)
		}
		id = cgroup.CgroupId
	}
	return id, nil
}

// verify checks with the kernel that every program runs for the cgroup.
func (s *set) verify(cgroupFD int) error {
	fail := func(err error) error { return fmt.Errorf("verify %s: %w", s.kind.whose, err) }
	var stat unix.Stat_t
	if err := unix.Fstat(cgroupFD, &stat); err != nil {
		return fail(fmt.Errorf("cgroup: %w", err))
	}
	id, err := s.CgroupID()
	if err != nil {
		return fail(err)
	}
	// The id of a cgroup is its inode (kernel/cgroup/cgroup.c, cgroup_id).
	if id != stat.Ino {
		return fail(fmt.Errorf("attached to cgroup %d, not to %d", id, stat.Ino))
	}
	for _, hook := range s.kind.hooks {
		info, err := s.links[hook].Info()
		if err != nil {
			return fail(fmt.Errorf("%s: %w", hook, err))
		}
		attached, err := link.QueryPrograms(link.QueryOptions{Target: cgroupFD, Attach: attachTypes[hook]})
		if err != nil {
			return fail(fmt.Errorf("%s: %w", hook, err))
		}
		if !slices.ContainsFunc(attached.Programs, func(p link.AttachedProgram) bool { return p.ID == info.Program }) {
			return fail(fmt.Errorf("%w: %s does not run for the cgroup", ErrIncomplete, hook))
		}
	}
	return nil
}
