package api

import (
	"strconv"
	"time"

	"bottled/bottle"
)

// Proposal is what a bottle's agent proposes: GET /v1/proposals. Reason is the
// agent's own words; everything else is canonical.
type Proposal struct {
	Bottle  string    `json:"bottle"`
	Name    string    `json:"name"`
	Owner   uint32    `json:"owner"`
	Number  uint64    `json:"number"` // of the bottle, never used again
	State   string    `json:"state"`  // waiting, approved, denied or expired
	Kind    string    `json:"kind"`
	Summary string    `json:"summary"` // exactly what approving grants
	Note    string    `json:"note,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Asked   time.Time `json:"asked"`
	Expires time.Time `json:"expires"`
	By      string    `json:"by,omitempty"`     // who decided
	Answer  string    `json:"answer,omitempty"` // what the agent was told
}

// DecisionRequest approves or denies a proposal that [Proposal] showed:
// POST /v1/bottles/{id}/proposals/{number}.
type DecisionRequest struct {
	Approve bool   `json:"approve"`
	Answer  string `json:"answer,omitempty"` // reaches the agent
}

// maxAnswer bounds [DecisionRequest.Answer], in bytes.
const maxAnswer = 1024

func (s *Server) proposals(q *call) (any, error) {
	pending, err := s.bottles.Proposals(q.ctx, q.caller, "")
	if err != nil {
		return nil, err
	}
	list := make([]Proposal, 0, len(pending))
	for _, p := range pending {
		list = append(list, wireProposal(p))
	}
	return list, nil
}

func wireProposal(p bottle.Pending) Proposal {
	t := p.Ticket
	return Proposal{
		Bottle: p.Bottle, Name: p.Name, Owner: p.Owner, Number: t.Number, State: t.State.String(),
		Kind: t.Proposal.Kind().String(), Summary: t.Proposal.String(), Note: p.Note, Reason: t.Proposal.Reason(),
		Asked: t.Asked, Expires: t.Expires, By: t.By, Answer: t.Answer,
	}
}

func (s *Server) decide(q *call) (any, error) {
	var r DecisionRequest
	if err := decode(q.body, &r); err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(q.exec, 10, 64)
	if err != nil || number == 0 {
		return nil, invalidf("%q is not the number of a proposal: `bottled proposals` shows them", q.exec)
	}
	if len(r.Answer) > maxAnswer {
		return nil, invalidf("answer: %d bytes, and at most %d reach the agent", len(r.Answer), maxAnswer)
	}
	return struct{}{}, s.bottles.Decide(q.ctx, q.caller, q.ref, number, r.Approve, r.Answer)
}
