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

func TestManifestOfOtherKinds(t *testing.T) {
	golden.Kinds(t, []byte(fullManifest), func(input []byte) error {
		m, err := ParseManifest("bottle.yaml", input)
		if err == nil {
			_, err = m.Effective()
		}
		return err
	})
}

func TestRoutesOfOtherKinds(t *testing.T) {
	full, err := Render(effective(t, fullManifest).Routes)
	if err != nil {
		t.Fatal(err)
	}
	golden.Kinds(t, full, func(input []byte) error {
		_, err := Parse(input, 1)
		return err
	})
}
