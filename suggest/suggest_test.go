package suggest

import (
	"fmt"
	"strings"
	"testing"

	"bottled/audit"
	"bottled/routes"
)

func refusal(method, authority, path, comm string, reason routes.Reason) audit.Event {
	host, _, _ := strings.Cut(authority, ":")
	return audit.Event{
		Kind: audit.Request, Scheme: "https", SNI: host, Authority: authority, Method: method,
		Path: audit.PathOf(path), Reason: string(reason), Process: audit.Process{Comm: comm},
	}
}

// What comes out parses and allows each refusal, and nothing beside it.
func TestManifestAllowsWhatWasRefused(t *testing.T) {
	events := []audit.Event{
		refusal("GET", "api.example.com", "/user", "curl", routes.ReasonHost),
		refusal("GET", "api.example.com", "/user/keys?token=1", "curl", routes.ReasonPath),
		refusal("POST", "api.example.com", "/repos/acme/x/issues", "gh", routes.ReasonMethod),
		refusal("GET", "git.example.com:8443", "/", "git", routes.ReasonPort),
		refusal("GET", "api.example.com", "/user", "curl", routes.ReasonHost),
		refusal("GET", "glob.example.com", "/a/b*c/d", "sh", routes.ReasonHost),
	}
	for i := range 20 {
		events = append(events, refusal("GET", "cdn.example.com", fmt.Sprintf("/pkg/v1/file%d", i), "npm", routes.ReasonHost))
	}
	text, err := From(events).Manifest()
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	tab, err := table(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		w, why := wanted(e)
		if why != "" || !strings.Contains(routes.Explain(tab, w.query), "allow") || !tab.Decide(w.query).Allowed() {
			t.Errorf("%s %s%s: %s %s\n%s", e.Method, e.Authority, e.Path, why, routes.Explain(tab, w.query), text)
		}
	}
	for _, want := range []string{`"/user" # curl (3×); for 2 paths`, `"/pkg/v1/" # npm (20×); for 20 paths`, `ports: [8443]`, `"/a/" # sh (1×)`, `stands for every path`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	for _, not := range []routes.Query{
		query(t, "GET", "api.example.com", "/users"), query(t, "DELETE", "api.example.com", "/user"),
		query(t, "GET", "sub.api.example.com", "/user"), query(t, "GET", "git.example.com", "/"),
		query(t, "GET", "cdn.example.com", "/pkg/v2/x"), query(t, "GET", "claude.ai", "/"),
	} {
		if tab.Decide(not).Allowed() {
			t.Errorf("%s %s%s is allowed too\n%s", not.Method, not.Authority, not.Target, text)
		}
	}
	if strings.Contains(string(text), "*") {
		t.Errorf("a wildcard:\n%s", text)
	}
}

func query(t *testing.T, method, host, path string) routes.Query {
	t.Helper()
	w, _ := wanted(refusal(method, host, path, "", routes.ReasonHost))
	return w.query
}

// What no manifest allows is told and never suggested, and what a peer made up ends
// neither a string nor a comment.
func TestManifestSuggestsNothingThatIsRefused(t *testing.T) {
	events := []audit.Event{
		refusal("GET", "*.example.com", "/", "a", routes.ReasonHost),
		refusal("GET", "localhost", "/", "b", routes.ReasonHost),
		refusal("GET", routes.MagicHost, "/", "c", routes.ReasonHost),
		refusal("GET", "x.example.com", "/a/../b", "d", routes.ReasonAmbiguous),
		refusal("GET", "x.example.com", "/a/%2e%2e/b", "d", routes.ReasonPath),
		refusal("TRACE", "x.example.com", "/", "e", routes.ReasonMethod),
		refusal("GET", "x.example.com", "/", "f\n    - host: evil.example.com", "content-blocked"),
		refusal("GET", "x.example.com", "/long…", "g", routes.ReasonPath),
		{Kind: audit.Kernel, Reason: "send-destination", Process: audit.Process{Comm: "h\u202e\x1b[31m"}},
		{Kind: audit.Query, Authority: "evil.example.com"},
		{Kind: audit.Request, Verdict: audit.Allow, Authority: "allowed.example.com"},
	}
	s := From(events)
	text, err := s.Manifest()
	if err != nil || !s.empty() {
		t.Fatalf("%v\n%s", err, text)
	}
	tab, err := table(text)
	if err != nil || len(tab.Routes()) != 0 {
		t.Errorf("%v\n%s", err, text)
	}
	if strings.ContainsAny(string(text), "\x1b\u202e") || strings.Contains(string(text), "allowed.example.com") {
		t.Errorf("%q", text)
	}
	if !strings.Contains(string(text), "send-destination") {
		t.Errorf("the kernel's refusals are not told:\n%s", text)
	}
}

func TestGroupNeverMakesTheRoot(t *testing.T) {
	paths := map[string]asked{}
	for i := range 30 {
		paths[fmt.Sprintf("/top%d", i)] = asked{}
	}
	if list := group(paths); len(list) != 30 {
		t.Errorf("%v", list)
	}
	paths["/"] = asked{}
	if list := group(paths); len(list) != 1 || list[0].path != "/" || list[0].of != 31 {
		t.Errorf("%v", list)
	}
}

// A record without end makes no manifest without end, and says so.
func TestSuggestionIsBounded(t *testing.T) {
	var events []audit.Event
	for i := range 3000 {
		path := fmt.Sprintf("/%d%s", i, strings.Repeat("x", 900))
		events = append(events, refusal("GET", "api.example.com", path, fmt.Sprint("program", i), routes.ReasonHost))
	}
	s := From(events)
	text, err := s.Manifest()
	if err != nil || len(text) > routes.MaxManifest || s.over < 2000 || !strings.Contains(string(text), "more that were not looked at") {
		t.Errorf("%d bytes, %d left out, %v", len(text), s.over, err)
	}
	a := asked{}
	for i := range 100 {
		a.count(fmt.Sprint(i), 1)
	}
	if len(a) != maxPrograms+1 || a["others"] != 100-maxPrograms {
		t.Errorf("%v", a)
	}
}
