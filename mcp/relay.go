package mcp

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bottled/routes"
)

// A Relay offers the tools to an agent that starts its MCP server as a command:
// it runs inside the bottle, speaks on standard input and output, and passes each
// call on to the [Server] of the bottle's enforcer. It has no more power than any
// other program in the bottle.
type Relay struct {
	// Client reaches the magic host; nil is a client that uses no proxy.
	Client *http.Client
}

// maxAllowlist bounds the route table that is read, in bytes.
const maxAllowlist = routes.MaxRendered

// dialTimeout is how long the enforcer may take to accept a connection.
const dialTimeout = 10 * time.Second

// Serve speaks MCP on in and out until in ends or ctx does.
func (r *Relay) Serve(ctx context.Context, in io.ReadCloser, out io.WriteCloser) error {
	server := newSDKServer()
	for name, tool := range tools() {
		call := r.call
		if name == ListTool {
			call = r.list
		}
		server.AddTool(tool, func(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			result, err := call(ctx, req)
			if err != nil {
				result = new(sdk.CallToolResult)
				result.SetError(err)
			}
			return result, nil
		})
	}
	return server.Run(ctx, &sdk.IOTransport{Reader: in, Writer: out, MaxLineLength: maxBody})
}

// list returns what /allowlist does.
func (r *Relay) list(ctx context.Context, _ *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+routes.MagicHost+"/allowlist", nil)
	if err != nil {
		return nil, err
	}
	resp, err := r.client().Do(req)
	if err != nil {
		return nil, unreachable(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAllowlist))
	if err != nil {
		return nil, unreachable(err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, unreachable(fmt.Errorf("it answered %s", resp.Status))
	}
	return text(string(body)), nil
}

// call passes a call on, and what the server says of its progress back. The
// arguments go as they came: the server judges them.
func (r *Relay) call(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
	client := sdk.NewClient(&sdk.Implementation{Name: "bottled mcp", Version: version}, &sdk.ClientOptions{
		ProgressNotificationHandler: func(ctx context.Context, p *sdk.ProgressNotificationClientRequest) {
			_ = req.Session.NotifyProgress(ctx, p.Params) // an agent that is gone does not want it
		},
	})
	session, err := client.Connect(ctx, &sdk.StreamableClientTransport{
		Endpoint:             "http://" + routes.MagicHost + Path,
		HTTPClient:           r.client(),
		MaxRetries:           -1,
		DisableStandaloneSSE: true,
	}, nil)
	if err != nil {
		return nil, unreachable(err)
	}
	defer session.Close()
	params := &sdk.CallToolParams{Name: req.Params.Name}
	if len(req.Params.Arguments) > 0 {
		params.Arguments = req.Params.Arguments
	}
	if token := progressToken(req); token != nil {
		params.Meta = sdk.Meta{"progressToken": token} // SetProgressToken panics on a number that came as JSON
	}
	result, err := session.CallTool(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("the enforcer did not take the call: %w", err)
	}
	return result, nil
}

// direct never goes through HTTP_PROXY, which may name something else than the
// enforcer.
var direct = &http.Client{Transport: &http.Transport{
	DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext,
}}

func (r *Relay) client() *http.Client {
	if r.Client != nil {
		return r.Client
	}
	return direct
}
