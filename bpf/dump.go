package bpf

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Dump returns as text what is attached and what it did. Ids and counts change from one
// bottle to the next; the lines do not.
func (h *Hooks) Dump() (string, error) {
	cookie, err := h.NetnsCookie()
	if err != nil {
		return "", err
	}
	byMark, err := h.ByMark()
	if err != nil {
		return "", err
	}
	packets := "the kernel"
	if byMark {
		packets = "the marks of their sockets"
	}
	return h.dump(fmt.Sprintf("namespace cookie %d\nnamespace of packets by %s\n", cookie, packets))
}

// dump is a Dump with what is the set's own in it.
func (s *set) dump(own string) (string, error) {
	group, err := s.CgroupID()
	if err != nil {
		return "", fmt.Errorf("dump %s: %w", s.kind.whose, err)
	}
	counts, err := s.Counts()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "cgroup %d\n%s", group, own)
	for _, hook := range s.kind.hooks {
		info, err := s.links[hook].Info()
		if err != nil {
			return "", fmt.Errorf("dump %s: %s: %w", s.kind.whose, hook, err)
		}
		fmt.Fprintf(&b, "%s program %d link %d\n", hook, info.Program, info.ID)
	}
	for _, reason := range slices.Sorted(maps.Keys(counts.Refused)) {
		fmt.Fprintf(&b, "refused %s %d\n", reason, counts.Refused[reason])
	}
	fmt.Fprintf(&b, "reports lost %d\n", counts.ReportsLost)
	if s.kind == &ofBottle {
		fmt.Fprintf(&b, "flows lost %d\n", counts.FlowsLost)
	}
	return b.String(), nil
}
