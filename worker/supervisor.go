package worker

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"bottled/audit"
	"bottled/mcp"
	"bottled/proposal"
)

// supervisor is what the agent's tools work on: the live table, and a queue whose
// decisions come over the control socket. It has no way to decide.
type supervisor struct {
	e     *enforcer
	queue *proposal.Queue
}

// newSupervisor makes the queue; each of its steps is an audit event.
func newSupervisor(e *enforcer) *supervisor {
	s := &supervisor{e: e}
	s.queue = proposal.NewQueue(proposal.Options{Changed: s.changed})
	return s
}

// handler answers the tools on the magic host, and nothing else.
func (s *supervisor) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(mcp.Path, mcp.New(s, mcp.Options{}))
	return mux
}

// Allowlist implements [mcp.Supervisor].
func (s *supervisor) Allowlist(context.Context) ([]byte, error) {
	return s.e.table().AllowlistJSON(), nil
}

// Match implements [mcp.Supervisor].
func (s *supervisor) Match(_ context.Context, requestID string) (proposal.Match, error) {
	m, ok := s.e.proxy.Stopped(requestID)
	if !ok {
		return proposal.Match{}, errors.New("request_id: no refusal by the scanner is remembered for it: repeat the request, and then the field request_id of its refusal")
	}
	return proposal.Match{RequestID: requestID, Rule: m.Rule, Fingerprint: m.Fingerprint, Route: m.Route}, nil
}

// Propose implements [mcp.Supervisor].
func (s *supervisor) Propose(_ context.Context, p proposal.Proposal) (proposal.Ticket, error) {
	return s.queue.Propose(p)
}

// Decision implements [mcp.Supervisor].
func (s *supervisor) Decision(ctx context.Context, id string) (proposal.Ticket, error) {
	return s.queue.Wait(ctx, id)
}

// changed records a step of a proposal. The agent's own words stay out of it: a
// route and an exemption are canonical, a capability is told by its id alone.
func (s *supervisor) changed(t proposal.Ticket) {
	verdict := audit.Deny
	if t.State == proposal.Approved {
		verdict = audit.Allow
	}
	detail := t.Proposal.Kind().String() + " " + t.ID
	if route, ok := t.Proposal.Route(); ok {
		detail = route.String()
	} else if exemption, ok := t.Proposal.Exemption(); ok {
		detail = exemption.String()
	}
	s.e.events.Record(audit.Event{
		Time: time.Now(), Kind: audit.Control, Generation: s.e.table().Generation(),
		Verdict: verdict, Reason: "proposal-" + t.State.String(), Detail: detail,
	})
}

// pollTime is how long a question for news waits for some.
const pollTime = 30 * time.Second

// serveProposals answers with the queue, once it is another than the asker knows.
func (s *supervisor) serveProposals(w http.ResponseWriter, r *http.Request) {
	revision, err := strconv.ParseUint(r.URL.Query().Get("revision"), 10, 64)
	if err != nil {
		http.Error(w, "revision is not a number", http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), pollTime)
	defer cancel()
	reply(w, s.queue.Since(ctx, revision))
}

// serveDecision takes the operator's word.
func (s *supervisor) serveDecision(w http.ResponseWriter, r *http.Request) {
	var d proposal.Decision
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&d); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	t, err := s.queue.Decide(d)
	switch {
	case errors.Is(err, proposal.ErrUnknown):
		http.Error(w, err.Error(), http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusConflict)
	default:
		reply(w, t)
	}
}
