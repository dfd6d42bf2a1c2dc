package main

import (
	"os"
	"testing"
)

// What is committed is what the types give.
func TestReferenceIsFresh(t *testing.T) {
	want, err := reference("../..")
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile("../../docs/api-types.md")
	if err != nil || string(have) != want {
		t.Errorf("docs/api-types.md is not what the types give; run scripts/generate and commit (%v)", err)
	}
}
