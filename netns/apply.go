package netns

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/nftables"
	nfnetlink "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink"
)

// part is one kind of kernel state. Both sides of a comparison are text, one line for
// each thing, so that what is compared is what a person sees in a dump.
type part struct {
	name string
	want func(Plan) []string
	have func(*kernel) ([]string, error)
	fix  func(*kernel, Plan) error
}

// parts is in the order in which they are brought up: the rules before the addresses
// and routes that make anything reachable.
var parts = []part{
	{"sysctls", wantSysctls, haveSysctls, fixSysctls},
	{"ruleset", wantRuleset, haveRuleset, fixRuleset},
	{"links", wantLinks, haveLinks, fixLinks},
	{"addresses", wantAddresses, haveAddresses, fixAddresses},
	{"rules", wantRules, haveRules, fixRules},
	{"routes", wantRoutes, haveRoutes, fixRoutes},
}

// kernel is what one Apply, Diff or Dump talks to, from a thread in the namespace. It is
// made for it and closed after it, so that an error leaves no half-made batch behind.
type kernel struct {
	route *netlink.Handle
	nft   *nftables.Conn
}

// answerTimeout bounds how long the kernel may take to answer. The library waits for one
// acknowledgement for each message of a batch, and a kernel that is out of memory sends
// one for all (net/netfilter/nfnetlink.c, nfnetlink_rcv_batch).
const answerTimeout = 10 * time.Second

func (n *Namespace) withKernel(f func(*kernel) error) error {
	return n.Do(func() error {
		route, err := netlink.NewHandle()
		if err != nil {
			return fmt.Errorf("rtnetlink: %w", err)
		}
		defer route.Close()
		nft, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(c *nfnetlink.Conn) error {
			return c.SetDeadline(time.Now().Add(answerTimeout))
		}))
		if err != nil {
			return fmt.Errorf("nf_tables: %w: is the kernel built with nf_tables?", err)
		}
		return errors.Join(f(&kernel{route, nft}), nft.CloseLasting())
	})
}

// Apply brings the namespace to the state of the plan and checks that it is there. Only
// what differs is changed, the ruleset in one transaction. Called again it changes
// nothing; after tampering it restores the plan and removes what is not in it.
//
// On an error the namespace is between two states, none of which lets anything out:
// call Apply again, or drop the namespace.
func (n *Namespace) Apply(p Plan) error {
	return n.withKernel(func(k *kernel) error {
		for _, part := range parts {
			if err := n.applyPart(k, part, p); err != nil {
				return fmt.Errorf("apply the plan to the network namespace: %s: %w", part.name, err)
			}
		}
		return nil
	})
}

func (n *Namespace) applyPart(k *kernel, part part, p Plan) error {
	have, err := part.have(k)
	if err != nil {
		return err
	}
	want := part.want(p)
	if slices.Equal(have, want) {
		return nil
	}
	if err := n.fault(part.name); err != nil {
		return err
	}
	if err := part.fix(k, p); err != nil {
		return err
	}
	if have, err = part.have(k); err != nil {
		return err
	}
	if d := diff(have, want); len(d) > 0 {
		return fmt.Errorf("the kernel took the change but shows another state: %s", strings.Join(d, "; "))
	}
	return nil
}

// Diff returns what differs from the plan, one line for each thing: "- x" is missing,
// "+ x" is there and should not be. Empty: nothing.
func (n *Namespace) Diff(p Plan) ([]string, error) {
	var lines []string
	err := n.withKernel(func(k *kernel) error {
		for _, part := range parts {
			have, err := part.have(k)
			if err != nil {
				return fmt.Errorf("%s: %w", part.name, err)
			}
			lines = append(lines, diff(have, part.want(p))...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("compare the network namespace with its plan: %w", err)
	}
	return lines, nil
}

// diff compares as sets, and the order only when nothing else differs.
func diff(have, want []string) []string {
	var lines []string
	for _, w := range want {
		if !slices.Contains(have, w) {
			lines = append(lines, "- "+w)
		}
	}
	for _, h := range have {
		if !slices.Contains(want, h) {
			lines = append(lines, "+ "+h)
		}
	}
	if len(lines) == 0 && !slices.Equal(have, want) {
		for _, w := range want {
			lines = append(lines, "- "+w)
		}
		for _, h := range have {
			lines = append(lines, "+ "+h)
		}
	}
	return lines
}

// Dump returns the state of the namespace as text, for people and for tests: what Apply
// manages, as it is now. It has no line that changes from one run to the next.
func (n *Namespace) Dump() (string, error) {
	var b strings.Builder
	err := n.withKernel(func(k *kernel) error {
		for _, part := range parts {
			lines, err := part.have(k)
			if err != nil {
				return fmt.Errorf("%s: %w", part.name, err)
			}
			fmt.Fprintf(&b, "%s:\n", part.name)
			for _, line := range lines {
				fmt.Fprintf(&b, "  %s\n", line)
			}
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("dump the network namespace: %w", err)
	}
	return b.String(), nil
}

// dump repeats a netlink dump that changed while it was read.
func dump[T any](list func() ([]T, error)) ([]T, error) {
	for range 10 {
		found, err := list()
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return found, err
		}
	}
	return nil, fmt.Errorf("the state keeps changing: %w", netlink.ErrDumpInterrupted)
}
