package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bottled/api"
	"bottled/api/client"
)

// watchInterval is how often a watched list is asked for.
const watchInterval = time.Second

func (a *App) proposals(args []string) (int, error) {
	f := flags("proposals")
	all, watch, asJSON := f.Bool("all", false, ""), f.Bool("watch", false, ""), f.Bool("json", false, "")
	socket := a.socketFlag(f)
	if err := parse(f, args); err != nil {
		return 0, err
	}
	if f.NArg() > 0 {
		return 0, usagef("%q is one argument too many", f.Arg(0))
	}
	c := client.New(*socket)
	defer c.Close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	shown := make(map[string]bool)
	for {
		list, err := c.Proposals(ctx)
		if errors.Is(err, context.Canceled) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		for _, p := range list {
			key := fmt.Sprintf("%s/%d %s", p.Bottle, p.Number, p.State)
			if shown[key] || p.State != "waiting" && !*all {
				continue
			}
			shown[key] = true
			if err := a.showProposal(p, *asJSON); err != nil {
				return 0, err
			}
		}
		if !*watch {
			return 0, nil
		}
		select {
		case <-ctx.Done():
			return 0, nil
		case <-time.After(watchInterval):
		}
	}
}

// showProposal prints one. What the agent wrote stands on a line of its own, because
// its letters may order what stands beside them.
func (a *App) showProposal(p api.Proposal, asJSON bool) error {
	if asJSON {
		return printJSON(a.Stdout, p)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s  %s ago, by the agent in %q of %s\n", a.bold(fmt.Sprintf("%s/%d", p.Name, p.Number)), p.State, age(time.Since(p.Asked)), p.Name, ownerName(p.Owner))
	fmt.Fprintf(&b, "  %s\n", p.Summary)
	if p.Note != "" {
		fmt.Fprintf(&b, "  note: %s\n", p.Note)
	}
	if p.Reason != "" {
		fmt.Fprintf(&b, "  the agent says:\n    %s\n", p.Reason)
	}
	if p.By != "" {
		fmt.Fprintf(&b, "  decided by %s\n", p.By)
	}
	_, err := fmt.Fprint(a.Stdout, b.String())
	return err
}

func (a *App) approve(args []string) (int, error) {
	f := flags("approve")
	answer := f.String("note", "", "")
	return a.decide(f, args, func() (bool, string, error) { return true, *answer, nil })
}

func (a *App) deny(args []string) (int, error) {
	f := flags("deny")
	reason := f.String("reason", "", "")
	return a.decide(f, args, func() (bool, string, error) {
		if *reason == "" {
			return false, "", usagef("say why with --reason: the agent is told, and can do better")
		}
		return false, *reason, nil
	})
}

// decide sends the word about one proposal, which is named as the list names it.
func (a *App) decide(f *flag.FlagSet, args []string, word func() (approve bool, answer string, err error)) (int, error) {
	socket := a.socketFlag(f)
	if err := parse(f, args); err != nil {
		return 0, err
	}
	if f.NArg() != 1 {
		return 0, usagef("name one proposal, as `bottled proposals` does: BOTTLE/NUMBER")
	}
	ref, text, _ := strings.Cut(f.Arg(0), "/")
	number, err := strconv.ParseUint(text, 10, 64)
	if ref == "" || err != nil || number == 0 {
		return 0, usagef("%q is not BOTTLE/NUMBER, as `bottled proposals` shows it", f.Arg(0))
	}
	approve, answer, err := word()
	if err != nil {
		return 0, err
	}
	c := client.New(*socket)
	defer c.Close()
	return 0, c.Decide(context.Background(), ref, number, api.DecisionRequest{Approve: approve, Answer: answer})
}
