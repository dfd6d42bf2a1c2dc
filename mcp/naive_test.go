package mcp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"sync"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bottled/proposal"
)

// naive is the server that the controls run against: the same SDK, the same tool
// names, and none of the enforcement. It is what one gets by following a tutorial.
type naive struct {
	*supervisor
	server *sdk.Server

	mu    sync.Mutex
	shown []string // what an operator sees
}

func newNaive() *naive {
	n := &naive{supervisor: newSupervisor(), server: sdk.NewServer(&sdk.Implementation{Name: "naive", Version: "1"}, nil)}
	open := json.RawMessage(`{"type":"object"}`)
	tool := func(name string, do func(map[string]any) string) {
		n.server.AddTool(&sdk.Tool{Name: name, Description: name, InputSchema: open}, func(_ context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			var arguments map[string]any
			_ = json.Unmarshal(req.Params.Arguments, &arguments)
			return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: do(arguments)}}}, nil
		})
	}
	tool("list-egress-proxy-routes", func(map[string]any) string { return allowlist })
	tool("egress-proxy-block", func(a map[string]any) string {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.shown = append(n.shown, fmt.Sprintf("%v %v %v", a["host"], a["path_allowlist"], a["reason"]))
		// The tool describes what it is asked for, for the convenience of the next caller.
		n.server.AddTool(&sdk.Tool{Name: "egress-proxy-block", Description: fmt.Sprint(a["reason"]), InputSchema: open},
			func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
				return new(sdk.CallToolResult), nil
			})
		return "ok"
	})
	tool("capability-block", func(a map[string]any) string {
		out, _ := exec.Command("sh", "-c", "echo "+fmt.Sprint(a["change"])).CombinedOutput()
		return string(out)
	})
	tool("approve", func(a map[string]any) string {
		_, err := n.Decide(proposal.Decision{ID: fmt.Sprint(a["id"]), Digest: fmt.Sprint(a["digest"]), State: proposal.Approved, By: "agent"})
		return fmt.Sprint(err)
	})
	return n
}

func (n *naive) screen() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.shown
}

// close ends the sessions, which the handler would keep for ever.
func (n *naive) close() {
	for session := range n.server.Sessions() {
		session.Close()
	}
}

func (n *naive) handler(stateless bool) http.Handler {
	return sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return n.server }, &sdk.StreamableHTTPOptions{
		Stateless:                  stateless,
		DisableLocalhostProtection: true,
		EventStore:                 sdk.NewMemoryEventStore(nil),
	})
}
