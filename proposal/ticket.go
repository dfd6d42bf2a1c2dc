package proposal

import (
	"encoding/json"
	"fmt"
	"time"
)

// A Ticket is a proposal in a queue. Free text of the agent is in
// Proposal.Reason and in the change of a capability, and nowhere else; both are
// one line, and belong on lines of their own, since letters of scripts that are
// written from right to left are let through and order what stands beside them.
type Ticket struct {
	ID       string    `json:"id"`     // Proposal.ID
	Digest   string    `json:"digest"` // Proposal.Digest
	Number   uint64    `json:"number"` // from 1, in the order of the queue, never used again
	Proposal Proposal  `json:"proposal"`
	State    State     `json:"state"`
	Asked    time.Time `json:"asked"`
	Expires  time.Time `json:"expires"` // when waiting ends in Expired

	// Set once it is decided.
	Decided time.Time `json:"decided,omitzero"`
	By      string    `json:"by,omitempty"`     // who decided; "" for time
	Answer  string    `json:"answer,omitempty"` // why it was denied, or what to know about the approval
}

// UnmarshalJSON implements [json.Unmarshaler]: strictly, as package proposal
// says. On error t is the zero Ticket.
func (t *Ticket) UnmarshalJSON(text []byte) error {
	type plain Ticket
	var p plain
	*t = Ticket{}
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	p.ID, p.Digest = p.Proposal.ID(), p.Proposal.Digest()
	p.By, p.Answer = oneLine(p.By, maxText), oneLine(p.Answer, maxText)
	if err := canonical(text, Ticket(p)); err != nil {
		return err
	}
	*t = Ticket(p)
	return nil
}

// A Decision is the word of an operator about one proposal. The zero Decision
// decides nothing.
type Decision struct {
	ID     string `json:"id"`     // of the ticket
	Digest string `json:"digest"` // of what the operator was shown
	State  State  `json:"state"`  // Approved or Denied
	By     string `json:"by"`     // the user, or the rule, that decided
	Answer string `json:"answer,omitempty"`
}

// UnmarshalJSON implements [json.Unmarshaler]: strictly, as package proposal
// says. On error d is the zero Decision.
func (d *Decision) UnmarshalJSON(text []byte) error {
	type plain Decision
	var p plain
	*d = Decision{}
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	if err := canonical(text, Decision(p)); err != nil {
		return err
	}
	*d = Decision(p)
	return nil
}

// A Snapshot is a whole queue at one moment.
type Snapshot struct {
	Revision uint64   `json:"revision"` // from 1, counts every step of every ticket
	Tickets  []Ticket `json:"tickets"`  // by number, each number and id once
}

// UnmarshalJSON implements [json.Unmarshaler]: strictly, as package proposal
// says. On error s is the zero Snapshot.
func (s *Snapshot) UnmarshalJSON(text []byte) error {
	type plain Snapshot
	var p plain
	*s = Snapshot{}
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	ids := make(map[string]bool, len(p.Tickets))
	var last uint64
	for _, t := range p.Tickets {
		if t.Number <= last || ids[t.ID] {
			return fmt.Errorf("proposal: number %d or its id stands for two tickets", t.Number)
		}
		last, ids[t.ID] = t.Number, true
	}
	if err := canonical(text, Snapshot(p)); err != nil {
		return err
	}
	*s = Snapshot(p)
	return nil
}
