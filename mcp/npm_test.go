package mcp_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bottled/mcp"
	"bottled/proposal"
)

// npmSDK is the client that is driven, exactly.
const npmSDK = "@modelcontextprotocol/sdk@1.32.2"

// TestNPMClient drives the server, and the relay in front of it, with the client
// library of npm, under node. It needs both and the registry.
func TestNPMClient(t *testing.T) {
	dir := t.TempDir()
	run(t, dir, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", npmSDK)
	script, err := os.ReadFile("testdata/agent.mjs")
	if err != nil {
		t.Fatal(err)
	}
	agent := filepath.Join(dir, "agent.mjs")
	if err := os.WriteFile(agent, script, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"http", "stdio"} {
		t.Run(how, func(t *testing.T) {
			s := newSupervisor()
			server := httptest.NewServer(enforcer(s, mcp.Options{Progress: 5 * time.Millisecond}))
			defer server.Close()
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); operate(ctx, t, s) }()
			defer func() { cancel(); <-done }()
			addr := server.Listener.Addr().String()
			where := addr
			if how == "stdio" {
				where = os.Args[0]
				t.Setenv(relayTo, addr)
			}
			checkAgent(t, run(t, dir, "node", agent, how, where))
		})
	}
}

// operate is an operator who says yes and no after a while.
func operate(ctx context.Context, t *testing.T, s *supervisor) {
	for revision := uint64(0); ctx.Err() == nil; {
		snapshot := s.Since(ctx, revision)
		revision = snapshot.Revision
		time.Sleep(50 * time.Millisecond)
		for _, ticket := range snapshot.Tickets {
			if ticket.State != proposal.Waiting {
				continue
			}
			state := proposal.Approved
			if ticket.Proposal.Kind() == proposal.KindExemption {
				state = proposal.Denied
			}
			s.decide(t, ticket, state, "says alice")
		}
	}
}

func checkAgent(t *testing.T, output []byte) {
	t.Helper()
	lines := bufio.NewScanner(bytes.NewReader(output))
	next := func(v any) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the agent said no more than:\n%s", output)
		}
		if err := json.Unmarshal(lines.Bytes(), v); err != nil {
			t.Fatalf("%s: %v", lines.Bytes(), err)
		}
	}
	var names []string
	next(&names)
	if want := []string{mcp.CapabilityTool, mcp.RouteTool, mcp.ListTool, mcp.ExemptionTool}; !slices.Equal(names, want) {
		t.Errorf("tools %q", names)
	}
	for _, want := range []struct {
		text   string
		failed bool
	}{
		{allowlist, false},
		{"approved: proposal 1, route to approve.example.com: GET on /a.", false},
		{"denied: proposal 2, exemption from rule github-pat to deny.example.com: every match.", false},
		{"approved: proposal 3, change of the bottle's mounts: mount /srv/models.", false},
		{"reserved", true},
		{"approve", true},
		{"approve", true},
	} {
		var got struct {
			Text   string
			Failed bool
		}
		next(&got)
		if !strings.Contains(got.Text, want.text) || got.Failed != want.failed {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	var progressed bool
	if next(&progressed); !progressed {
		t.Error("no progress was told")
	}
}

func run(t *testing.T, dir, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return out
}
