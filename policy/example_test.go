package policy

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"bottled/ca"
	"bottled/golden"
)

// documented returns the example of the manual, with people that every host has in
// the place of those in it, and what reads the file that it names.
func documented(t *testing.T) (example []byte, read func(path string) ([]byte, error)) {
	t.Helper()
	text, err := os.ReadFile("../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```yaml\n")
	found, _, ended := strings.Cut(rest, "```")
	if !ok || !ended {
		t.Fatal("there is no example")
	}
	people := strings.NewReplacer("alice", "root", "[ci]", "[root]", "[network]", "[root]", "ci-runner", "root")
	authority, err := ca.New("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return []byte(people.Replace(found)), func(path string) ([]byte, error) {
		if path != "/etc/bottled/proxy-ca.pem" {
			return nil, fmt.Errorf("%s is read", path)
		}
		return authority.CertPEM(), nil
	}
}

func TestTheDocumentedPolicy(t *testing.T) {
	example, read := documented(t)
	p, err := parsePolicy("policy.yaml", example, read)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.never) != 3 || len(p.classes) != 1 || len(p.tokens) != 3 || p.chain.to == nil {
		t.Errorf("%d hosts, %d classes, %d tokens", len(p.never), len(p.classes), len(p.tokens))
	}
	for _, key := range []string{"launch", "hosts", "may", "approve", "limits", "tokens", "allow_private", "addresses", "dlp", "tcp", "tls_passthrough", "upstream_ca", "upstream_proxy", "user_namespaces", "bottle", "url", "ca", "auth"} {
		if text := string(example); !strings.Contains(text, "\n"+key+":") && !strings.Contains(text, "\n  "+key+":") {
			t.Errorf("the example does not show %s", key)
		}
	}
}

func TestPolicyOfOtherKinds(t *testing.T) {
	example, read := documented(t)
	golden.Kinds(t, example, func(input []byte) error {
		_, err := parsePolicy("policy.yaml", input, read)
		return err
	})
}
