package mcp

import (
	"context"
	"errors"
	"fmt"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bottled/proposal"
	"bottled/routes"
)

// The inputs of the tools, as tools.json describes them.
type (
	listInput  struct{}
	routeInput struct {
		Host    string   `json:"host"`
		Paths   []string `json:"path_allowlist"`
		Methods []string `json:"methods"`
		Reason  string   `json:"reason"`
	}
	exemptionInput struct {
		Rule      string `json:"rule"`
		Host      string `json:"host"`
		RequestID string `json:"request_id"`
		Reason    string `json:"reason"`
	}
	capabilityInput struct {
		Area   string `json:"area"`
		Change string `json:"change"`
		Reason string `json:"reason"`
	}
)

// addTools gives the SDK's server the four tools. The SDK holds the arguments of
// a call against the schema before a tool sees them.
func (s *Server) addTools(to *sdk.Server) {
	byName := tools()
	sdk.AddTool(to, byName[ListTool], func(ctx context.Context, _ *sdk.CallToolRequest, _ listInput) (*sdk.CallToolResult, any, error) {
		table, err := s.supervisor.Allowlist(ctx)
		if err != nil {
			return nil, nil, unreachable(err)
		}
		return text(string(table)), nil, nil
	})
	addProposal(s, to, byName[RouteTool], func(_ context.Context, in routeInput) (proposal.Proposal, error) {
		return proposal.ForRoute(in.Host, in.Paths, in.Methods, in.Reason)
	})
	addProposal(s, to, byName[ExemptionTool], s.exemption)
	addProposal(s, to, byName[CapabilityTool], func(_ context.Context, in capabilityInput) (proposal.Proposal, error) {
		return proposal.ForCapability(in.Area, in.Change, in.Reason)
	})
}

// exemption is of the one match that a request was refused for where that request
// is named. Which match that was the enforcer knows, and the agent is not told.
func (s *Server) exemption(ctx context.Context, in exemptionInput) (proposal.Proposal, error) {
	if in.RequestID == "" {
		return proposal.ForExemption(in.Rule, in.Host, in.Reason)
	}
	m, err := s.supervisor.Match(ctx, in.RequestID)
	if err != nil {
		return proposal.Proposal{}, err
	}
	host, err := routes.ParsePattern(in.Host)
	if err != nil {
		return proposal.Proposal{}, fmt.Errorf("host: %w", err)
	}
	exact, named := host.Host()
	if m.Rule != in.Rule || m.Route == nil || m.Route.Host != host && !(named && m.Route.Host.Matches(exact)) {
		return proposal.Proposal{}, errors.New("request_id: that request was refused for another rule or host: repeat the fields of one refusal")
	}
	return proposal.ForMatch(m, in.Reason)
}

func addProposal[In any](s *Server, to *sdk.Server, tool *sdk.Tool, parse func(context.Context, In) (proposal.Proposal, error)) {
	sdk.AddTool(to, tool, func(ctx context.Context, req *sdk.CallToolRequest, in In) (*sdk.CallToolResult, any, error) {
		p, err := parse(ctx, in)
		if err != nil {
			return nil, nil, fmt.Errorf("nothing was proposed: %w", err)
		}
		ticket, err := s.supervisor.Propose(ctx, p)
		if err != nil {
			return nil, nil, fmt.Errorf("nothing was proposed: %w", err)
		}
		if ticket.State == proposal.Waiting {
			ticket = s.await(ctx, req, ticket)
		}
		return text(answer(tool.Name, ticket)), nil, nil
	})
}

// await waits for the decision, for as long as a call may, and tells a client
// that asked for it that it still does. It returns the ticket as it then is. When
// too many calls wait already it does not wait.
func (s *Server) await(ctx context.Context, req *sdk.CallToolRequest, ticket proposal.Ticket) proposal.Ticket {
	select {
	case s.waiting <- struct{}{}:
		defer func() { <-s.waiting }()
	default:
		return ticket
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Wait)
	defer cancel()
	// The SDK detaches a call from the request that carried it. Whoever is gone does
	// not wait.
	if request, ok := ctx.Value(requestKey{}).(context.Context); ok {
		defer context.AfterFunc(request, cancel)()
	}
	if token := progressToken(req); token != nil {
		go s.progress(ctx, req, token, ticket)
	}
	if decided, err := s.supervisor.Decision(ctx, ticket.ID); err == nil {
		return decided
	}
	return ticket
}

// progressToken returns what the client wants to be told progress under, or nil.
func progressToken(req *sdk.CallToolRequest) any {
	switch token := req.Params.GetProgressToken().(type) {
	case string, float64:
		return token
	}
	return nil
}

// progress sends a notification every so often until ctx ends.
func (s *Server) progress(ctx context.Context, req *sdk.CallToolRequest, token any, ticket proposal.Ticket) {
	tick := time.NewTicker(s.o.Progress)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := req.Session.NotifyProgress(ctx, &sdk.ProgressNotificationParams{
			ProgressToken: token, Progress: float64(n),
			Message: fmt.Sprintf("proposal %d waits for the operator", ticket.Number),
		})
		if err != nil {
			return // the client is gone, which ends ctx too
		}
	}
}

func text(s string) *sdk.CallToolResult {
	return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: s}}}
}

// unreachable is the error of a tool that found no enforcer.
func unreachable(err error) error {
	return fmt.Errorf("the enforcer of this bottle cannot be reached, and without it nothing can leave: %w", err)
}
