package mcp

import (
	"context"

	"bottled/proposal"
)

// A Supervisor is what the tools of one bottle work on. Its methods are called
// from several goroutines at once. No method approves.
type Supervisor interface {
	// Allowlist returns the live route table as /allowlist shows it. An error tells
	// the agent that the enforcer cannot be reached.
	Allowlist(ctx context.Context) ([]byte, error)
	// Match returns what a request of the bottle was refused for by the scanner. The
	// text of an error goes to the agent, and the match never.
	Match(ctx context.Context, requestID string) (proposal.Match, error)
	// Propose puts a proposal before the operator, or returns the ticket of an
	// earlier one that asks for the same. It does not wait for a decision. The text
	// of an error goes to the agent.
	Propose(ctx context.Context, p proposal.Proposal) (proposal.Ticket, error)
	// Decision returns the ticket once it is decided, or as it is when ctx ends.
	Decision(ctx context.Context, id string) (proposal.Ticket, error)
}
