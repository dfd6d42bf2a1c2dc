package routes

import (
	"slices"
	"strings"
	"testing"
)

func TestHosts(t *testing.T) {
	var got []string
	for _, p := range table(t, decideManifest).Hosts() {
		h, exact := p.Host()
		if exact == p.Wildcard() || exact && h != p.Base() {
			t.Errorf("%s: host %q, wildcard %v, base %q", p, h, p.Wildcard(), p.Base())
		}
		got = append(got, p.String())
	}
	want := strings.Fields(`api.github.com multi.example.com closed.example.com rooted.example.com read.example.com track.example.com odd.example.com
		narrow.wild.example.com git.example.com pinned.example.com 10.1.2.3 docs.example.com *.wild.example.com *.amazonaws.com`)
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if (*Table)(nil).Hosts() != nil || (*Table)(nil).Routes() != nil || (*Table)(nil).Generation() != 0 {
		t.Error("the nil table holds something")
	}
}

func TestTableIsBounded(t *testing.T) {
	if _, err := NewTable(make([]*Route, MaxRoutes+1), 0); err == nil || !strings.Contains(err.Error(), "limit is 200000") {
		t.Errorf("%v", err)
	}
}

// The stars of a segment take any run of characters, in order.
func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		entry, path string
		want        bool
	}{
		{"/a*c", "/ac", true},
		{"/a*c", "/abc", true},
		{"/a*c", "/abcd", false},
		{"/a*b*c", "/aXbYc", true},
		{"/a*b*c", "/abbbc", true},
		{"/a*b*c", "/acb", false},
		{"/a*a", "/a", false}, // one letter can not be both ends
		{"/*b*", "/abc", true},
		{"/*b*", "/ac", false},
		{"/a*", "/a/b", true},
		{"/*", "/", false},
		{"/a%20*", "/a%20b", true},
	} {
		p, err := ParsePathPattern(tt.entry)
		if err != nil {
			t.Fatal(err)
		}
		var tree pathTree
		tree.add(p, &Route{})
		if got := tree.find(tt.path) != nil; got != tt.want {
			t.Errorf("%s takes %s: %v", tt.entry, tt.path, got)
		}
	}
}

// Nothing is more specific by the order in which it was written.
func TestSpecificity(t *testing.T) {
	entries := []string{"/", "/*", "/*/b", "/a*", "/a*/b", "/a", "/a/", "/a/*", "/a/b", "/a/b/", "/a/b/c"}
	for path, want := range map[string]string{
		"/x": "/*", "/x/b": "/*/b", "/x/c": "/*", "/ab": "/a*", "/ab/b": "/a*/b", "/a": "/a", "/a/": "/a/", "/a/x": "/a/*", "/a/b": "/a/b", "/a/b/": "/a/b/", "/a/b/c/d": "/a/b/c", "/": "/",
	} {
		for range 2 {
			slices.Reverse(entries)
			var tree pathTree
			for _, e := range entries {
				p, err := ParsePathPattern(e)
				if err != nil {
					t.Fatal(err)
				}
				tree.add(p, &Route{Paths: []PathPattern{p}})
			}
			m := tree.find(path)
			if m == nil || m.routes[0].Paths[0].String() != want {
				t.Errorf("%s: %v, want %s", path, m, want)
			}
		}
	}
}

func TestRoles(t *testing.T) {
	seen := make(map[string]string)
	for _, role := range Roles() {
		if got, err := ParseRole(role.Name); err != nil || !slices.Equal(got.Env, role.Env) || len(role.Env) == 0 {
			t.Errorf("%s: %+v, %v", role.Name, got, err)
		}
		for _, name := range role.Env {
			if seen[name] != "" || !isEnvName(name) {
				t.Errorf("%s of %s: also of %q", name, role.Name, seen[name])
			}
			seen[name] = role.Name
		}
	}
	for _, name := range []string{"CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GH_TOKEN", "GITLAB_TOKEN"} {
		if seen[name] == "" {
			t.Errorf("no role sets %s", name)
		}
	}
}

// A document full of mistakes does not fill the screen.
func TestProblemsAreCut(t *testing.T) {
	_, err := ParseManifest("m.yaml", []byte("version: 1\negress:\n  allowlist:\n"+strings.Repeat("    - localhost\n", 50)))
	problems, ok := err.(Problems)
	if !ok || len(problems) != 50 || strings.Count(err.Error(), "\n") != 10 || !strings.HasSuffix(err.Error(), "... and 40 more") {
		t.Errorf("%d problems: %v", len(problems), err)
	}
	_, err = ParseManifest("m.yaml", []byte(strings.Repeat("#", MaxManifest+1)))
	if err == nil || err.Error() != "m.yaml: the document is 1048577 bytes long: the limit is 1048576" {
		t.Errorf("over size: %v", err)
	}
}

// An error never shows what stands where a token's name belongs.
func TestTokenRefIsNotShown(t *testing.T) {
	for _, s := range []string{"hunter2 hunter2", "ghp_hunter2hunter2hunter2", "sk-hunter2hunter2hunter2", "file:hunter2", "command:hunter2 x", "credential:../hunter2"} {
		if ref, err := ParseTokenRef(s); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, %v", s, ref, err)
		}
	}
	for _, s := range []string{"GH_PAT", "credential:gh", "file:/etc/bottled/tokens/gh", "command:/usr/bin/mint --for gh"} {
		if ref, err := ParseTokenRef(s); err != nil || ref.String() != s || ref.IsZero() {
			t.Errorf("%q: %v, %v", s, ref, err)
		}
	}
}
