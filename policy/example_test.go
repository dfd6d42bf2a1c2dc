package policy

import (
	"os"
	"strings"
	"testing"
)

// TestTheDocumentedPolicy reads the example of the manual, with people that every
// host has in the place of those in it.
func TestTheDocumentedPolicy(t *testing.T) {
	text, err := os.ReadFile("../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```yaml\n")
	example, _, ended := strings.Cut(rest, "```")
	if !ok || !ended {
		t.Fatal("there is no example")
	}
	people := strings.NewReplacer("alice", "root", "[ci]", "[root]", "[network]", "[root]", "ci-runner", "root")
	p, err := Parse("policy.yaml", []byte(people.Replace(example)))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.never) != 3 || len(p.classes) != 1 || len(p.tokens) != 3 {
		t.Errorf("%d hosts, %d classes, %d tokens", len(p.never), len(p.classes), len(p.tokens))
	}
	for _, key := range []string{"launch", "hosts", "may", "approve", "limits", "tokens", "allow_private", "addresses", "tcp", "tls_passthrough", "upstream_ca", "upstream_proxy", "user_namespaces"} {
		if !strings.Contains(example, "\n"+key+":") && !strings.Contains(example, "\n  "+key+":") {
			t.Errorf("the example does not show %s", key)
		}
	}
}
