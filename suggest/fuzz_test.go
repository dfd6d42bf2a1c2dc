package suggest

import (
	"strings"
	"testing"
	"unicode"

	"bottled/audit"
	"bottled/routes"
)

// Whatever two events say, there is a manifest, it allows what was taken, it has no
// wildcard, and nothing in it acts on a terminal.
func FuzzManifest(f *testing.F) {
	f.Add("api.example.com", "/a", "GET", "curl", "git.example.com:8443", "/b/../c", "P*ST", "x\n- host: evil.example.com")
	f.Add("[2001:db8::1]:443", "/*", "get", "", "api.example.com", "/a/b", "GET", "\u202e\x1b[0m")
	f.Add("xn--nxasmq6b.example.com", "/%2a", "\"", "#", "a.example.com", "/\"]: {", "GET", "'")
	f.Fuzz(func(t *testing.T, host1, path1, method1, comm1, host2, path2, method2, comm2 string) {
		s := From([]audit.Event{
			refusal(method1, host1, path1, comm1, routes.ReasonHost),
			refusal(method2, host2, path2, comm2, routes.ReasonPath),
			refusal(method1, host2, path1, comm2, routes.ReasonMethod),
		})
		text, err := s.Manifest()
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		for line := range strings.Lines(string(text)) {
			key, _, _ := strings.Cut(line, "#")
			wildcard := strings.Contains(key, "*") && !strings.Contains(key, "methods:") // where it is a letter
			if wildcard || strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q", line)
			}
		}
	})
}
