package netns

import (
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// rules are the policy rules of a family: those that the kernel makes, and ours, which
// comes after the local table.
func rules(p Plan, family int) []netlink.Rule {
	table := func(priority, table int) netlink.Rule {
		r := netlink.NewRule()
		r.Family, r.Priority, r.Table = family, priority, table
		return *r
	}
	list := []netlink.Rule{
		table(0, unix.RT_TABLE_LOCAL),
		table(32766, unix.RT_TABLE_MAIN),
	}
	if family == unix.AF_INET {
		list = append(list, table(32767, unix.RT_TABLE_DEFAULT))
	}
	if family == unix.AF_INET || p.Addr6.IsValid() {
		list = append(list, table(p.Priority, p.Table))
	}
	return list
}

// families are those of which the kernel has rules.
func families() []int {
	if kernelHasIPv6() {
		return []int{unix.AF_INET, unix.AF_INET6}
	}
	return []int{unix.AF_INET}
}

func wantRules(p Plan) []string {
	var lines []string
	for _, family := range families() {
		for _, r := range rules(p, family) {
			lines = append(lines, ruleLine(r))
		}
	}
	slices.Sort(lines)
	return lines
}

func haveRules(k *kernel) ([]string, error) {
	list, err := listRules(k)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, r := range list {
		lines = append(lines, ruleLine(r))
	}
	slices.Sort(lines)
	return lines, nil
}

func listRules(k *kernel) ([]netlink.Rule, error) {
	var all []netlink.Rule
	for _, family := range families() {
		list, err := dump(func() ([]netlink.Rule, error) { return k.route.RuleList(family) })
		if err != nil {
			return nil, err
		}
		for _, r := range list {
			r.Family = family
			all = append(all, r)
		}
	}
	return all, nil
}

// ruleLine shows every selector, so that a rule that matches less, or more, than ours
// is never taken for it.
func ruleLine(r netlink.Rule) string {
	line := fmt.Sprintf("rule %s %05d lookup %d", familyName(r.Family), max(r.Priority, 0), r.Table)
	plain := netlink.NewRule()
	plain.Family, plain.Priority, plain.Table = r.Family, r.Priority, r.Table
	plain.Protocol, plain.Type = r.Protocol, r.Type
	if r != *plain {
		line += fmt.Sprintf(" only if %+v", r)
	}
	return line
}

func familyName(family int) string {
	if family == unix.AF_INET6 {
		return "inet6"
	}
	return "inet"
}

func fixRules(k *kernel, p Plan) error {
	list, err := listRules(k)
	if err != nil {
		return err
	}
	want := wantRules(p)
	var have []string
	for _, r := range list {
		line := ruleLine(r)
		// Twice the same is once too many.
		if slices.Contains(want, line) && !slices.Contains(have, line) {
			have = append(have, line)
			continue
		}
		if err := k.route.RuleDel(&r); err != nil {
			return fmt.Errorf("remove %s: %w", line, err)
		}
	}
	for _, family := range families() {
		for _, r := range rules(p, family) {
			if slices.Contains(have, ruleLine(r)) {
				continue
			}
			if err := k.route.RuleAdd(&r); err != nil {
				return fmt.Errorf("add %s: %w", ruleLine(r), err)
			}
		}
	}
	return nil
}
