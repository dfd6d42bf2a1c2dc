package policy

import (
	"os"
	"strings"
	"testing"
	"time"

	"bottled/ca"
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
	authority, err := ca.New("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p, err := parsePolicy("policy.yaml", []byte(people.Replace(example)), func(path string) ([]byte, error) {
		if path != "/etc/bottled/proxy-ca.pem" {
			t.Errorf("%s is read", path)
		}
		return authority.CertPEM(), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.never) != 3 || len(p.classes) != 1 || len(p.tokens) != 3 || p.chain.to == nil {
		t.Errorf("%d hosts, %d classes, %d tokens", len(p.never), len(p.classes), len(p.tokens))
	}
	for _, key := range []string{"launch", "hosts", "may", "approve", "limits", "tokens", "allow_private", "addresses", "dlp", "tcp", "tls_passthrough", "upstream_ca", "upstream_proxy", "user_namespaces", "bottle", "url", "ca", "auth"} {
		if !strings.Contains(example, "\n"+key+":") && !strings.Contains(example, "\n  "+key+":") {
			t.Errorf("the example does not show %s", key)
		}
	}
}
