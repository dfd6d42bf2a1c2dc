package policy

import (
	"testing"

	"bottled/golden"
)

func TestBadPolicies(t *testing.T) {
	golden.Refused(t, "testdata/bad-policies.txt", 35, func(input []byte) error {
		p, err := Parse("policy.yaml", input)
		if err != nil && p != nil {
			t.Errorf("an error, and a policy: %v", p)
		}
		return err
	})
}
