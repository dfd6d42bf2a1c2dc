package bottle

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"bottled/proposal"
	"bottled/routes"
)

// ask calls a tool as an agent does, with a plain client.
const ask = `curl -sS -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' -d '
{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"egress-proxy-block","arguments":{"host":"docs.example.com","path_allowlist":["/guide"],"reason":"to read the guide"}}}
' http://_egress-proxy.local/mcp; curl -sS http://_egress-proxy.local/allowlist`

// propose runs an agent that proposes, and returns its bottle, what it printed in
// the end, and the proposal.
func propose(t *testing.T, m *Manager) (Info, func() string, Pending) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	info, err := m.Create(t.Context(), root, CreateOptions{
		Command: []string{"sh", "-c", ask}, Dir: workDir(t), User: &someone,
		Manifest: []byte("version: 1\ndefaults: false\n"), Stdio: Stdio{Streams: [3]*os.File{nil, w, nil}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		pending, err := m.Proposals(t.Context(), root, info.ID)
		if err != nil {
			t.Fatal(err)
		}
		if len(pending) == 1 {
			return info, func() string {
				defer r.Close()
				text, err := io.ReadAll(r)
				if err != nil {
					t.Fatal(err)
				}
				return string(text)
			}, pending[0]
		}
		if time.Now().After(end) {
			t.Fatalf("no proposal came")
		}
	}
}

func TestAnApprovedProposalIsInForce(t *testing.T) {
	m := newManager(t)
	info, output, p := propose(t, m)
	if got := p.Ticket.Proposal.String(); !strings.Contains(got, "docs.example.com") || !strings.Contains(got, "/guide") {
		t.Errorf("shown as %q", got)
	}
	if err := m.Decide(t.Context(), root, info.ID, p.Ticket.Number, true, "fine"); err != nil {
		t.Fatal(err)
	}
	text := output()
	if !strings.Contains(text, "approved") || !strings.Contains(text, `{"host":"docs.example.com","path_allowlist":["/guide"]}`) {
		t.Errorf("the agent got %s", text)
	}
}

func TestADeniedProposalReachesTheAgentWithTheReason(t *testing.T) {
	m := newManager(t)
	info, output, p := propose(t, m)
	if err := m.Decide(t.Context(), root, info.ID, p.Ticket.Number, false, "read the copy in the repository"); err != nil {
		t.Fatal(err)
	}
	if text := output(); !strings.Contains(text, "read the copy in the repository") || strings.Contains(text, `"host":"docs.example.com"`) {
		t.Errorf("the agent got %s", text)
	}
}

func TestNobodyDecidesWhatIsNotTheirsOrWasNotShown(t *testing.T) {
	m := newManager(t)
	info, output, p := propose(t, m)
	stranger := Caller{UID: 4242, GID: 4242}
	if err := m.Decide(t.Context(), stranger, info.ID, p.Ticket.Number, true, ""); !errors.Is(err, ErrNotFound) {
		t.Errorf("a stranger: %v", err)
	}
	if got, err := m.Proposals(t.Context(), stranger, ""); err != nil || len(got) != 0 {
		t.Errorf("a stranger sees %d proposals, %v", len(got), err)
	}
	b, err := m.find(root, info.ID)
	if err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	b.shown[p.Ticket.Number] = "another digest" // as if the enforcer had exchanged it
	b.mu.Unlock()
	if err := m.Decide(t.Context(), root, info.ID, p.Ticket.Number, true, ""); !errors.Is(err, ErrConflict) {
		t.Errorf("exchanged: %v", err)
	}
	b.mu.Lock()
	delete(b.shown, p.Ticket.Number)
	b.mu.Unlock()
	if err := m.Decide(t.Context(), root, info.ID, p.Ticket.Number, true, ""); !errors.Is(err, ErrConflict) {
		t.Errorf("never shown: %v", err)
	}
	if _, err := m.Proposals(t.Context(), root, info.ID); err != nil {
		t.Fatal(err)
	}
	if err := m.Decide(t.Context(), root, info.ID, p.Ticket.Number, false, "no"); err != nil {
		t.Errorf("the control, shown and the caller's: %v", err)
	}
	if err := m.Decide(t.Context(), root, info.ID, p.Ticket.Number, true, ""); !errors.Is(err, ErrConflict) {
		t.Errorf("decided already: %v", err)
	}
	output()
}

// TestAGrantIsWhatWasShown tries grants that would come to more or less than that.
func TestAGrantIsWhatWasShown(t *testing.T) {
	const manifest = `version: 1
defaults: false
egress: {allowlist: [docs.example.com, "*.cdn.example.com"]}
egress_proxy: {routes: [{host: api.example.com, path_allowlist: ["/user"]}]}
`
	route := func(host string, paths ...string) proposal.Proposal {
		p, err := proposal.ForRoute(host, paths, nil, "because")
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	exemption := func(host string) proposal.Proposal {
		p, err := proposal.ForExemption("github-pat", host, "because")
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	match := func(rendered string) proposal.Proposal {
		table, err := routes.Parse([]byte(`{"routes":[`+rendered+`]}`), 1)
		if err != nil {
			t.Fatal(err)
		}
		p, err := proposal.ForMatch(proposal.Match{RequestID: "01J", Rule: "github-pat", Fingerprint: "0123456789abcdef", Route: table.Routes()[0]}, "because")
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for name, c := range map[string]struct {
		p  proposal.Proposal
		ok bool
	}{
		"a new host":                        {route("new.example.com", "/x"), true},
		"a path beside another":             {route("api.example.com", "/repos"), true},
		"a host that passes whole":          {route("docs.example.com", "/guide"), false},
		"a host below a wildcard that does": {route("a.cdn.example.com", "/x"), false},
		"a rule":                            {exemption("api.example.com"), true},
		"a rule for a host that passes":     {exemption("docs.example.com"), true},
		"a rule for no host of the table":   {exemption("other.example.com"), false},
		"a match":                           {match(`{"host":"api.example.com","path_allowlist":["/user"]}`), true},
		"a match on a host that passes":     {match(`{"host":"*.cdn.example.com"}`), true},
		"a match on another path list":      {match(`{"host":"api.example.com","path_allowlist":["/user","/x"]}`), false},
		"a match on another method":         {match(`{"host":"api.example.com","path_allowlist":["/user"],"methods":["GET"]}`), false},
		"a match on another port":           {match(`{"host":"docs.example.com","ports":[8443]}`), false},
	} {
		_, err := readTable("m", []byte(manifest), c.p)
		if c.ok != (err == nil) || !c.ok && !errors.Is(err, ErrConflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAGrantBelowASealedPath is sealed too: the nearest path decides, and it would be the
// way to what is sealed.
func TestAGrantBelowASealedPath(t *testing.T) {
	const manifest = `version: 1
defaults: false
egress_proxy:
  routes:
    - {host: api.example.com, path_allowlist: ["/app/installations/"], sealed: true}
    - {host: api.example.com, path_allowlist: ["/repos"]}
`
	for path, want := range map[string]bool{"/app/installations/1/access_tokens": true, "/repos/x": false, "/other": false, "/app": false} {
		p, err := proposal.ForRoute("api.example.com", []string{path}, nil, "because")
		if err != nil {
			t.Fatal(err)
		}
		after, err := readTable("m", []byte(manifest), p)
		if err != nil {
			t.Fatal(err)
		}
		if r := after.effective.Routes[2]; r.Paths[0].String() != path || r.Sealed != want {
			t.Errorf("%s: sealed %v", r.Paths, r.Sealed)
		}
	}
}

// TestAnExemptMatchStaysOnItsRoute looks at the tables that grants make.
func TestAnExemptMatchStaysOnItsRoute(t *testing.T) {
	const manifest = `version: 1
defaults: false
egress: {allowlist: [a.cdn.example.com, "*.cdn.example.com"]}
egress_proxy:
  routes:
    - {host: api.example.com, path_allowlist: ["/v1"]}
    - {host: api.example.com, path_allowlist: ["/v2"], dlp: {mode: warn}}
`
	before, err := readTable("m", []byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range before.effective.Routes {
		p, err := proposal.ForMatch(proposal.Match{RequestID: "01J", Rule: "github-pat", Fingerprint: "0123456789abcdef", Route: r}, "because")
		if err != nil {
			t.Fatal(err)
		}
		path, err := proposal.ForRoute("api.example.com", []string{"/v3"}, nil, "because")
		if err != nil {
			t.Fatal(err)
		}
		// Approved twice, as after a daemon's end, and a path beside it.
		after, err := readTable("m", []byte(manifest), p, p, path)
		if err != nil {
			t.Fatal(err)
		}
		var exempt []string
		for _, r := range after.effective.Routes {
			if r.DLP != nil && len(r.DLP.Exempt) > 0 {
				exempt = append(exempt, fmt.Sprint(r.Host, r.Paths, r.DLP.Exempt))
			}
		}
		want := []string{fmt.Sprint(r.Host, r.Paths, []string{"github-pat/0123456789abcdef"})}
		if !slices.Equal(exempt, want) {
			t.Errorf("route %d: %q", i, exempt)
		}
		if len(after.effective.Routes) != len(before.effective.Routes)+1 {
			t.Errorf("route %d: %d routes", i, len(after.effective.Routes))
		}
	}
}
