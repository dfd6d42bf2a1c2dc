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
	group, err := h.CgroupID()
	if err != nil {
		return "", fmt.Errorf("dump the bottle's programs: %w", err)
	}
	counts, err := h.Counts()
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
	var b strings.Builder
	fmt.Fprintf(&b, "cgroup %d\nnamespace cookie %d\nnamespace of packets by %s\n", group, cookie, packets)
	for _, hook := range hooks {
		info, err := h.links[hook.name].Info()
		if err != nil {
			return "", fmt.Errorf("dump the bottle's programs: %s: %w", hook.name, err)
		}
		fmt.Fprintf(&b, "%s program %d link %d\n", hook.name, info.Program, info.ID)
	}
	for _, reason := range slices.Sorted(maps.Keys(counts.Refused)) {
		fmt.Fprintf(&b, "refused %s %d\n", reason, counts.Refused[reason])
	}
	fmt.Fprintf(&b, "reports lost %d\nflows lost %d\n", counts.ReportsLost, counts.FlowsLost)
	return b.String(), nil
}
