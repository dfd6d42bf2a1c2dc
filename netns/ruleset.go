package netns

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// tableName is the name of the one nftables table of a bottle. It has no owner flag: it
// outlives the daemon.
const tableName = "bottled"

// chain is a base chain with its rules. Each has the policy drop.
type chain struct {
	name     string
	hook     *nftables.ChainHook
	priority *nftables.ChainPriority
	rules    []rule
}

// rule is the expressions of one rule.
type rule []expr.Any

// chains are the ruleset of the plan.
//
// Fragments are dropped: the port is in the first piece only, and loopback never makes
// any. Nothing uses another interface than loopback.
func chains(p Plan) []chain {
	prerouting := []rule{
		{iif(), isNot(loopbackIndex), drop()},
		fragment4(),
		fragment6(),
		join(tcp(), port(portDNS), accept()),
		join(udp(), port(portDNS), accept()),
	}
	// Loopback and the own addresses are the bottle's. The last also lets the answers
	// of the listeners through, which come from everywhere.
	prerouting = append(prerouting, own(p)...)
	prerouting = append(prerouting, tproxy(p)...)

	output := []rule{
		{oif(), isNot(loopbackIndex), drop()},
		fragment4(),
		fragment6(),
	}
	output = append(output, own(p)...)
	output = append(output,
		join(tcp(), accept()),
		join(udp(), port(portDNS), accept()),
		// At once, so that QUIC gives way to TCP without waiting. The rest is dropped
		// by the policy, which the sender sees as EPERM as well; ICMP and IGMP must
		// be, since with every address local the kernel would answer itself.
		join(udp(), reject()),
	)
	return []chain{
		{"prerouting", nftables.ChainHookPrerouting, nftables.ChainPriorityMangle, prerouting},
		{"output", nftables.ChainHookOutput, nftables.ChainPriorityFilter, output},
		{"forward", nftables.ChainHookForward, nftables.ChainPriorityFilter, nil},
	}
}

func wantRuleset(p Plan) []string {
	lines := []string{"table inet " + tableName}
	list := chains(p)
	slices.SortFunc(list, func(a, b chain) int { return cmp.Compare(a.name, b.name) })
	for _, c := range list {
		lines = append(lines, chainLine(c.name, nftables.ChainTypeFilter, c.hook, c.priority, new(nftables.ChainPolicyDrop)))
		for i, r := range c.rules {
			lines = append(lines, ruleText(c.name, i, r))
		}
	}
	return lines
}

// haveRuleset lists everything, also tables that are not ours. Sets, objects and
// flowtables are not listed: only a rule could use them, and that is shown.
func haveRuleset(k *kernel) ([]string, error) {
	tables, err := k.nft.ListTables()
	if err != nil {
		return nil, err
	}
	list, err := k.nft.ListChains()
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b *nftables.Chain) int { return cmp.Compare(a.Name, b.Name) })
	var lines []string
	for _, t := range tables {
		line := "table " + tableFamily(t.Family) + " " + t.Name
		if t.Flags != 0 {
			line += fmt.Sprintf(" flags %#x", t.Flags)
		}
		lines = append(lines, line)
		for _, c := range list {
			if c.Table.Name != t.Name || c.Table.Family != t.Family {
				continue
			}
			lines = append(lines, chainLine(c.Name, c.Type, c.Hooknum, c.Priority, c.Policy))
			rules, err := k.nft.GetRules(t, c)
			if err != nil {
				return nil, err
			}
			for i, r := range rules {
				lines = append(lines, ruleText(c.Name, i, r.Exprs))
			}
		}
	}
	return lines, nil
}

func tableFamily(f nftables.TableFamily) string {
	if f == nftables.TableFamilyINet {
		return "inet"
	}
	return fmt.Sprintf("family-%d", f)
}

func chainLine(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority *nftables.ChainPriority, policy *nftables.ChainPolicy) string {
	if hook == nil || priority == nil {
		return fmt.Sprintf("chain %s without hook", name)
	}
	line := fmt.Sprintf("chain %s type %s hook %d priority %d policy ", name, kind, *hook, *priority)
	if policy != nil && *policy == nftables.ChainPolicyDrop {
		return line + "drop"
	}
	return line + "accept"
}

func ruleText(chain string, i int, exprs []expr.Any) string {
	words := make([]string, 0, len(exprs))
	for _, e := range exprs {
		// The library does not read tproxy back. Its address and port are in the loads
		// before it; without it the connection is refused, as nobody listens there.
		if _, unread := e.(*expr.TProxy); !unread {
			words = append(words, text(e))
		}
	}
	return fmt.Sprintf("%s %02d: %s", chain, i, strings.Join(words, ", "))
}

// fixRuleset replaces everything in one transaction: there is no moment without rules.
func fixRuleset(k *kernel, p Plan) error {
	k.nft.FlushRuleset()
	table := k.nft.AddTable(&nftables.Table{Name: tableName, Family: nftables.TableFamilyINet})
	for _, c := range chains(p) {
		added := k.nft.AddChain(&nftables.Chain{
			Name:     c.name,
			Table:    table,
			Type:     nftables.ChainTypeFilter,
			Hooknum:  c.hook,
			Priority: c.priority,
			Policy:   new(nftables.ChainPolicyDrop),
		})
		for _, r := range c.rules {
			k.nft.AddRule(&nftables.Rule{Table: table, Chain: added, Exprs: r})
		}
	}
	return k.nft.Flush()
}
