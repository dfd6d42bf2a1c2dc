package attack

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestExcusesAreChecked holds every excuse to what it says: the row is known, has a reason,
// and the test that checks the reason exists.
func TestExcusesAreChecked(t *testing.T) {
	rows, err := Rows()
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]bool)
	for _, r := range rows {
		known[r.ID] = true
	}
	excuses, err := Inapplicable()
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, e := range excuses {
		switch {
		case !known[e.ID]:
			t.Errorf("%s is not a known row", e.ID)
		case seen[e.ID]:
			t.Errorf("%s has two excuses", e.ID)
		case e.Reason == "":
			t.Errorf("%s has no reason", e.ID)
		case !testExists(t, e.Check):
			t.Errorf("%s: there is no test %q", e.ID, e.Check)
		}
		seen[e.ID] = true
	}
}

// testExists looks for a test, named "package.TestName", in the package's files.
func testExists(t *testing.T, name string) bool {
	t.Helper()
	dir, test, ok := strings.Cut(name, ".")
	if !ok {
		return false
	}
	files, err := filepath.Glob(filepath.Join("..", dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`(?m)^func ` + regexp.QuoteMeta(test) + `\(t \*testing\.T\)`)
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if declared.Match(text) {
			return true
		}
	}
	return false
}
