package mcp_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bottled/mcp"
	"bottled/proposal"
)

// relayTo names a variable with the address of an enforcer: with it set, the test
// binary is the command that an agent starts.
const relayTo = "BOTTLED_TEST_RELAY_TO"

// beRelay is that command.
func beRelay(addr string) error {
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}}}
	return (&mcp.Relay{Client: client}).Serve(context.Background(), os.Stdin, os.Stdout)
}

// enforcer answers on the magic host as the proxy does.
func enforcer(s *supervisor, o mcp.Options) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /allowlist", func(w http.ResponseWriter, r *http.Request) {
		if s.down {
			http.Error(w, "no", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, allowlist)
	})
	mux.Handle(mcp.Path, mcp.New(s, o))
	return mux
}

// overRelay connects an agent to a relay that reaches the enforcer by client.
func overRelay(t *testing.T, client *http.Client, o *sdk.ClientOptions) *sdk.ClientSession {
	t.Helper()
	theirIn, ourOut := io.Pipe()
	ourIn, theirOut := io.Pipe()
	served := make(chan error, 1)
	go func() { served <- (&mcp.Relay{Client: client}).Serve(context.Background(), theirIn, theirOut) }()
	session, err := sdk.NewClient(&sdk.Implementation{Name: "agent", Version: "1"}, o).
		Connect(t.Context(), &sdk.IOTransport{Reader: ourIn, Writer: ourOut}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		session.Close()
		ourOut.Close()
		<-served
	})
	return session
}

func TestRelayOffersTheSameTools(t *testing.T) {
	session := overRelay(t, serve(t, enforcer(newSupervisor(), quick)), nil)
	if got := hashOfTools(t, session); got != toolsHash {
		t.Errorf("the tools differ: their hash is %s", got)
	}
}

func TestRelayPassesCallsOn(t *testing.T) {
	s := newSupervisor()
	told := make(chan any, 1)
	session := overRelay(t, serve(t, enforcer(s, mcp.Options{Progress: time.Millisecond})), &sdk.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, p *sdk.ProgressNotificationClientRequest) {
			select {
			case told <- p.Params.ProgressToken:
			default:
			}
		},
	})
	if text, failed := call(t, session, mcp.ListTool, nil); failed || text != allowlist {
		t.Errorf("%q, error %v", text, failed)
	}
	go func() {
		if token := <-told; token != "mine" {
			t.Errorf("progress of %v", token)
		}
		s.decide(t, s.waits(t, 1)[0], proposal.Denied, "no")
	}()
	params := &sdk.CallToolParams{Name: mcp.RouteTool, Arguments: asks[0].arguments}
	params.SetProgressToken("mine")
	result, err := session.CallTool(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	if text := textOf(t, result); result.IsError || !strings.HasPrefix(text, "denied: proposal 1, "+asks[0].shown) {
		t.Errorf("%q, error %v", text, result.IsError)
	}
	twice := json.RawMessage(`{"host":"a.example.com","HOST":"evil.example","reason":"x"}`)
	if text, failed := call(t, session, mcp.RouteTool, twice); !failed || !strings.Contains(text, "did not take the call") {
		t.Errorf("%q, error %v", text, failed)
	}
	if text, failed := call(t, session, mcp.RouteTool, map[string]any{"host": "*.com", "reason": "x"}); !failed || !strings.Contains(text, "public suffix") {
		t.Errorf("%q, error %v", text, failed)
	}
}

func TestRelayWithoutEnforcer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	session := overRelay(t, clientOf(t, l.Addr().String()), nil)
	for _, c := range append(asks, asks[0]) {
		if text, failed := call(t, session, c.tool, c.arguments); !failed || !strings.Contains(text, "cannot be reached") {
			t.Errorf("%s: %q, error %v", c.tool, text, failed)
		}
	}
	if text, failed := call(t, session, mcp.ListTool, nil); !failed || !strings.Contains(text, "cannot be reached") {
		t.Errorf("%q, error %v", text, failed)
	}
}

func TestRelayOfABrokenEnforcer(t *testing.T) {
	s := newSupervisor()
	s.down = true
	session := overRelay(t, serve(t, enforcer(s, quick)), nil)
	if text, failed := call(t, session, mcp.ListTool, nil); !failed || !strings.Contains(text, "503") {
		t.Errorf("%q, error %v", text, failed)
	}
}
