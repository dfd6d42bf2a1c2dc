package bottle

import (
	"io"
	"os"
	"strings"
	"testing"

	"bottled/policy"
)

// TestThePolicyApprovesItsClassesAndNoOther lets an agent propose what the policy
// lets pass, and what it does not.
func TestThePolicyApprovesItsClassesAndNoOther(t *testing.T) {
	floor, err := policy.Parse("policy", []byte("version: 1\napprove: [{hosts: [docs.example.com], users: [root]}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		methods string
		pass    bool
	}{
		"reading":  {`["GET"]`, true},
		"anything": {`["GET", "POST"]`, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := newManager(t, func(o *Options) { o.Policy = floor })
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			script := strings.Replace(ask, `"path_allowlist":["/guide"]`, `"path_allowlist":["/guide"],"methods":`+c.methods, 1)
			script = strings.Replace(script, "curl -sS -H", "curl -sS -m 3 -H", 1)
			_, err = m.Create(t.Context(), root, CreateOptions{
				Command: []string{"sh", "-c", script}, Dir: workDir(t), User: &someone,
				Manifest: []byte("version: 1\ndefaults: false\n"), Stdio: Stdio{Streams: [3]*os.File{nil, w, nil}},
			})
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(string(text), `{"host":"docs.example.com"`); got != c.pass {
				t.Errorf("in force: %t; the agent got %s", got, text)
			}
		})
	}
}
