package mcp_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"bottled/mcp"
	"bottled/proposal"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(relayTo); addr != "" {
		if err := beRelay(addr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func TestListReturnsTheAllowlist(t *testing.T) {
	s := newSupervisor()
	session := connect(t, serve(t, mcp.New(s, quick)), nil)
	if text, failed := call(t, session, mcp.ListTool, nil); text != allowlist || failed {
		t.Errorf("%q, error %v", text, failed)
	}
	s.down = true
	if text, failed := call(t, session, mcp.ListTool, map[string]any{}); !failed || !strings.Contains(text, "cannot be reached") {
		t.Errorf("%q, error %v", text, failed)
	}
}

// asks are one good call of each proposing tool and what an operator is shown.
var asks = []struct {
	tool      string
	arguments map[string]any
	shown     string
	told      string // to the agent
	approved  string // what the agent then reads
}{
	{
		mcp.RouteTool, map[string]any{"host": "Bücher.example", "path_allowlist": []string{"/b", "/a/"}, "methods": []string{"GET"}, "reason": "docs"},
		"route to xn--bcher-kva.example: GET on /a/ /b", "", "in force now",
	},
	{
		mcp.ExemptionTool, map[string]any{"rule": "github-pat", "host": "a.example.com", "request_id": "01J", "reason": "a sample"},
		"exemption from rule github-pat: match 0123456789abcdef alone, of request 01J, on the route to a.example.com: POST on every path",
		"exemption from rule github-pat to a.example.com: what request 01J was refused for", "in force now",
	},
	{
		mcp.ExemptionTool, map[string]any{"rule": "github-pat", "host": "a.example.com", "reason": "a sample"},
		"exemption from rule github-pat to a.example.com: every match", "", "in force now",
	},
	{
		mcp.CapabilityTool, map[string]any{"area": "mounts", "change": "mount /srv/models read-only", "reason": "weights"},
		"change of the bottle's mounts: mount /srv/models read-only", "", "launched again",
	},
}

func TestDecisionReachesTheWaitingAgent(t *testing.T) {
	for _, c := range asks {
		for _, state := range []proposal.State{proposal.Approved, proposal.Denied} {
			t.Run(fmt.Sprint(c.tool, " ", state), func(t *testing.T) {
				s := newSupervisor()
				session := connect(t, serve(t, mcp.New(s, mcp.Options{})), nil)
				go func() {
					ticket := s.waits(t, 1)[0]
					if ticket.Proposal.String() != c.shown || ticket.Proposal.Reason() != c.arguments["reason"] {
						t.Errorf("the operator is shown %q because %q", ticket.Proposal, ticket.Proposal.Reason())
					}
					s.decide(t, ticket, state, "as agreed")
				}()
				text, failed := call(t, session, c.tool, c.arguments)
				if failed || !strings.HasPrefix(text, state.String()+": proposal 1, "+cmp.Or(c.told, c.shown)) || strings.Contains(text, fingerprint) || !strings.Contains(text, "as agreed") {
					t.Errorf("%q, error %v", text, failed)
				}
				if state == proposal.Approved && !strings.Contains(text, c.approved) {
					t.Errorf("%q does not say %q", text, c.approved)
				}
			})
		}
	}
}

func TestCallAgainReturnsTheState(t *testing.T) {
	for _, c := range asks {
		s := newSupervisor()
		session := connect(t, serve(t, mcp.New(s, quick)), nil)
		for range 2 {
			if text, failed := call(t, session, c.tool, c.arguments); failed || !strings.HasPrefix(text, "waiting: proposal 1,") || !strings.Contains(text, "call "+c.tool+" again") {
				t.Errorf("%q, error %v", text, failed)
			}
		}
		s.decide(t, s.waits(t, 1)[0], proposal.Denied, "no")
		if text, _ := call(t, session, c.tool, c.arguments); !strings.HasPrefix(text, "denied: proposal 1,") || !strings.Contains(text, "The operator says: no") {
			t.Errorf("%q", text)
		}
		if n := len(s.waits(t, 1)); n != 1 {
			t.Errorf("%d tickets", n)
		}
	}
}

func TestRefusedProposalSaysWhatToDo(t *testing.T) {
	s := newSupervisor()
	session := connect(t, serve(t, mcp.New(s, quick)), nil)
	for _, c := range []struct {
		tool      string
		arguments map[string]any
		want      string
	}{
		{mcp.RouteTool, map[string]any{"host": "_egress-proxy.local", "reason": "x"}, "reserved"},
		{mcp.RouteTool, map[string]any{"host": "*.com", "reason": "x"}, "public suffix"},
		{mcp.RouteTool, map[string]any{"host": "169.254.169.254", "reason": "x"}, "metadata"},
		{mcp.RouteTool, map[string]any{"host": "a.example.com", "reason": "\u202e"}, ""},
		{mcp.RouteTool, map[string]any{"host": "a.example.com"}, "reason"},
		{mcp.RouteTool, map[string]any{"host": "a.example.com", "path_allowlist": []string{}, "reason": "x"}, "minItems"},
		{mcp.RouteTool, map[string]any{"host": "a.example.com", "reason": "x", "auth": map[string]any{}}, "auth"},
		{mcp.ExemptionTool, map[string]any{"rule": "gihtub-pat", "host": "a.example.com", "reason": "x"}, "did you mean"},
		{mcp.ExemptionTool, map[string]any{"rule": "github-pat", "host": "a.example.com", "request_id": "02J", "reason": "x"}, "not remembered"},
		{mcp.ExemptionTool, map[string]any{"rule": "gitlab-pat", "host": "a.example.com", "request_id": "01J", "reason": "x"}, "another rule or host"},
		{mcp.ExemptionTool, map[string]any{"rule": "github-pat", "host": "b.example.com", "request_id": "01J", "reason": "x"}, "another rule or host"},
		{mcp.ExemptionTool, map[string]any{"rule": "../../etc", "host": "a.example.com", "reason": "x"}, "rule"},
		{mcp.CapabilityTool, map[string]any{"area": "network", "change": "x", "reason": "x"}, "area"},
		{mcp.ListTool, map[string]any{"bottle": "other"}, "bottle"},
	} {
		text, failed := call(t, session, c.tool, c.arguments)
		if c.want == "" {
			continue // taken, with a reason that cannot be misread
		}
		if !failed || !strings.Contains(text, c.want) {
			t.Errorf("%s %v: %q, error %v", c.tool, c.arguments, text, failed)
		}
	}
	if n := len(s.waits(t, 1)); n != 1 {
		t.Errorf("%d proposals wait, 1 was good", n)
	}
}

func TestFullQueueIsAnError(t *testing.T) {
	s := &supervisor{Queue: proposal.NewQueue(proposal.Options{Waiting: 1})}
	session := connect(t, serve(t, mcp.New(s, quick)), nil)
	call(t, session, mcp.RouteTool, map[string]any{"host": "a.example.com", "reason": "x"})
	if text, failed := call(t, session, mcp.RouteTool, map[string]any{"host": "b.example.com", "reason": "x"}); !failed || !strings.Contains(text, "too many proposals") {
		t.Errorf("%q, error %v", text, failed)
	}
}

func TestProgressWhileWaiting(t *testing.T) {
	s := newSupervisor()
	var told atomic.Int32
	client := serve(t, mcp.New(s, mcp.Options{Progress: time.Millisecond}))
	session := connect(t, client, &sdk.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, p *sdk.ProgressNotificationClientRequest) {
			if told.Add(1) == 3 {
				s.decide(t, s.waits(t, 1)[0], proposal.Approved, "")
			}
			if p.Params.ProgressToken != "mine" || p.Params.Message != "proposal 1 waits for the operator" {
				t.Errorf("%+v", p.Params)
			}
		},
	})
	params := &sdk.CallToolParams{Name: mcp.RouteTool, Arguments: map[string]any{"host": "a.example.com", "reason": "x"}}
	params.SetProgressToken("mine")
	result, err := session.CallTool(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	if text := textOf(t, result); !strings.HasPrefix(text, "approved") {
		t.Error(text)
	}
}

func TestWhoIsGoneDoesNotWait(t *testing.T) {
	s := newSupervisor()
	gone := make(chan struct{})
	watched := &watch{supervisor: s, done: gone}
	client := serve(t, mcp.New(watched, mcp.Options{Wait: time.Hour}))
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(routeCall))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	go func() {
		s.waits(t, 1)
		cancel()
	}()
	if resp, err := client.Do(req); err == nil {
		resp.Body.Close()
	}
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("the call still waits after its client went")
	}
	if s.waits(t, 1)[0].State != proposal.Waiting {
		t.Error("the proposal went with its client")
	}
}

// watch tells when a wait ends.
type watch struct {
	*supervisor
	done chan struct{}
}

func (w *watch) Decision(ctx context.Context, id string) (proposal.Ticket, error) {
	defer close(w.done)
	return w.supervisor.Decision(ctx, id)
}

const routeCall = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"egress-proxy-block","arguments":{"host":"a.example.com","reason":"x"}}}`

func TestWaitingCallsAreBounded(t *testing.T) {
	s := newSupervisor()
	waits := make(chan struct{})
	client := serve(t, mcp.New(&announce{s, waits}, mcp.Options{Wait: time.Hour, Waiting: 1}))
	first := make(chan string, 1)
	go func() {
		_, text := post(t, client, routeCall)
		first <- text
	}()
	<-waits
	if status, text := post(t, client, routeCall); status != http.StatusOK || !strings.Contains(text, "waiting: proposal 1") {
		t.Errorf("a second call was not answered at once: %d %s", status, text)
	}
	s.decide(t, s.waits(t, 1)[0], proposal.Denied, "")
	if text := <-first; !strings.Contains(text, "denied: proposal 1") {
		t.Error(text)
	}
}

func TestRequestsAreBounded(t *testing.T) {
	s := newSupervisor()
	waits := make(chan struct{})
	client := serve(t, mcp.New(&announce{s, waits}, mcp.Options{Wait: time.Hour, Requests: 1}))
	first := make(chan string, 1)
	go func() {
		_, text := post(t, client, routeCall)
		first <- text
	}()
	<-waits
	if status, text := post(t, client, listCall); status != http.StatusServiceUnavailable || !strings.Contains(text, "too many requests") {
		t.Errorf("a second request was served: %d %s", status, text)
	}
	s.decide(t, s.waits(t, 1)[0], proposal.Denied, "")
	<-first
	if status, text := post(t, client, listCall); status != http.StatusOK {
		t.Errorf("and still is not: %d %s", status, text)
	}
}

func TestBodyHasToCome(t *testing.T) {
	client := serve(t, mcp.New(newSupervisor(), mcp.Options{Body: 20 * time.Millisecond, Requests: 1}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, &endless{unblock: ctx.Done()})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestTimeout {
		t.Errorf("%s", resp.Status)
	}
	time.Sleep(50 * time.Millisecond) // the deadline is for bodies: a connection that is kept outlives it
	if status, text := post(t, client, listCall); status != http.StatusOK {
		t.Errorf("%d %s", status, text)
	}
}

// endless is a body that never comes.
type endless struct{ unblock <-chan struct{} }

func (e *endless) Read([]byte) (int, error) {
	<-e.unblock
	return 0, context.Canceled
}

// announce tells that a call waits.
type announce struct {
	*supervisor
	waits chan struct{}
}

func (a *announce) Decision(ctx context.Context, id string) (proposal.Ticket, error) {
	a.waits <- struct{}{}
	return a.supervisor.Decision(ctx, id)
}
