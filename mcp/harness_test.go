package mcp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bottled/mcp"
	"bottled/proposal"
	"bottled/routes"
)

const allowlist = `{"routes":[{"host":"api.example.com"}]}`

// supervisor is a queue with a route table, as an enforcer has one.
type supervisor struct {
	*proposal.Queue
	down bool
}

func newSupervisor() *supervisor { return &supervisor{Queue: proposal.NewQueue(proposal.Options{})} }

func (s *supervisor) Allowlist(context.Context) ([]byte, error) {
	if s.down {
		return nil, errors.New("no table is loaded")
	}
	return []byte(allowlist), nil
}

// Match knows one request that was refused.
func (s *supervisor) Match(_ context.Context, requestID string) (proposal.Match, error) {
	if requestID != "01J" {
		return proposal.Match{}, errors.New("request_id: it is not remembered")
	}
	table, err := routes.Parse([]byte(`{"routes":[{"host":"a.example.com","methods":["POST"]}]}`), 1)
	if err != nil {
		return proposal.Match{}, err
	}
	return proposal.Match{RequestID: requestID, Rule: "github-pat", Fingerprint: fingerprint, Route: table.Routes()[0]}, nil
}

const fingerprint = "0123456789abcdef"

func (s *supervisor) Propose(_ context.Context, p proposal.Proposal) (proposal.Ticket, error) {
	return s.Queue.Propose(p)
}

func (s *supervisor) Decision(ctx context.Context, id string) (proposal.Ticket, error) {
	return s.Wait(ctx, id)
}

// waits returns the tickets, once there are n.
func (s *supervisor) waits(t *testing.T, n int) []proposal.Ticket {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for revision := uint64(0); ctx.Err() == nil; {
		snapshot := s.Since(ctx, revision)
		if len(snapshot.Tickets) >= n {
			return snapshot.Tickets
		}
		revision = snapshot.Revision
	}
	t.Fatalf("%d proposals did not come", n)
	return nil
}

func (s *supervisor) decide(t *testing.T, ticket proposal.Ticket, state proposal.State, answer string) {
	t.Helper()
	if _, err := s.Decide(proposal.Decision{ID: ticket.ID, Digest: ticket.Digest, State: state, By: "alice", Answer: answer}); err != nil {
		t.Error(err)
	}
}

// serve runs the handler on loopback and returns a client that reaches it under
// every name, as inside a bottle.
func serve(t *testing.T, h http.Handler) *http.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return clientOf(t, server.Listener.Addr().String())
}

func clientOf(t *testing.T, addr string) *http.Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

const endpoint = "http://_egress-proxy.local/mcp"

// connect starts a session of the SDK's own client.
func connect(t *testing.T, client *http.Client, o *sdk.ClientOptions) *sdk.ClientSession {
	t.Helper()
	session, err := sdk.NewClient(&sdk.Implementation{Name: "agent", Version: "1"}, o).
		Connect(t.Context(), &sdk.StreamableClientTransport{Endpoint: endpoint, HTTPClient: client, MaxRetries: -1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	return session
}

// call calls a tool and returns its text.
func call(t *testing.T, session *sdk.ClientSession, tool string, arguments any) (string, bool) {
	t.Helper()
	result, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	return textOf(t, result), result.IsError
}

func textOf(t *testing.T, result *sdk.CallToolResult) string {
	t.Helper()
	if len(result.Content) != 1 {
		t.Fatalf("%d parts of content", len(result.Content))
	}
	text, ok := result.Content[0].(*sdk.TextContent)
	if !ok {
		t.Fatalf("content is a %T", result.Content[0])
	}
	return text.Text
}

// post sends one body as it is, with fields as "Name: value", and returns status and body.
func post(t *testing.T, client *http.Client, body string, fields ...string) (int, string) {
	t.Helper()
	return send(t, client, http.MethodPost, endpoint, body, fields...)
}

func send(t *testing.T, client *http.Client, method, url, body string, fields ...string) (int, string) {
	t.Helper()
	resp, text := exchange(t, client, method, url, body, fields...)
	return resp.StatusCode, text
}

// exchange is send that shows the head of the response as well.
func exchange(t *testing.T, client *http.Client, method, url, body string, fields ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		if name == "Host" {
			req.Host = value
		} else {
			req.Header.Add(name, value)
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for name := range resp.Header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("the response carries %s", name)
		}
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

const listCall = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list-egress-proxy-routes","arguments":{}}}`

var quick = mcp.Options{Wait: 20 * time.Millisecond}
