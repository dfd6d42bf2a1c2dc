package mcp

import (
	"fmt"
	"strings"
	"time"

	"bottled/proposal"
)

// answer tells the agent how its proposal stands and what to do next. The first
// word is the state.
func answer(tool string, t proposal.Ticket) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: proposal %d, %s.\n", t.State, t.Number, t.Proposal.ForAgent())
	switch t.State {
	case proposal.Waiting:
		fmt.Fprintf(&b, "Nothing has changed yet. A person decides until %s. Go on with other work, and call %s again with the same content to learn the decision.",
			t.Expires.UTC().Format(time.RFC3339), tool)
	case proposal.Approved:
		if t.Proposal.Kind().Relaunch() {
			b.WriteString("It takes effect when this environment is launched again, not before.")
		} else {
			b.WriteString("It is in force now: try again.")
		}
	case proposal.Denied:
		b.WriteString("Do not ask for it again; find another way, or tell the person you work for.")
	default:
		b.WriteString("Nobody decided in time, which denies. Tell the person you work for before you ask again.")
	}
	if t.Answer != "" {
		b.WriteString("\nThe operator says: " + t.Answer)
	}
	return b.String()
}
