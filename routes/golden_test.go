package routes

import (
	"testing"

	"bottled/golden"
)

func TestBadManifests(t *testing.T) {
	golden.Refused(t, "testdata/bad-manifests.txt", 60, func(input []byte) error {
		m, err := ParseManifest("bottle.yaml", input)
		if err != nil && m != nil {
			t.Errorf("an error, and a manifest: %v", m)
		}
		return err
	})
}
