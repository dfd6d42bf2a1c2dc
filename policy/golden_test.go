package policy

import (
	"flag"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the errors into testdata/bad-policies.txt")

// TestBadPolicies holds the exact error for each input of the golden file. An input
// whose name ends in .quoted is a Go string, for bytes that an editor would not keep.
func TestBadPolicies(t *testing.T) {
	const golden = "testdata/bad-policies.txt"
	archive, err := txtar.ParseFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	var out []txtar.File
	want := make(map[string]string)
	for _, f := range archive.Files {
		if name, ok := strings.CutSuffix(f.Name, "/error"); ok {
			want[name] = string(f.Data)
		}
	}
	cases := 0
	for _, f := range archive.Files {
		if strings.HasSuffix(f.Name, "/error") {
			continue
		}
		cases++
		input := f.Data
		if strings.HasSuffix(f.Name, ".quoted") {
			s, err := strconv.Unquote(strings.TrimSpace(string(f.Data)))
			if err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
			input = []byte(s)
		}
		p, err := Parse("policy.yaml", input)
		if err == nil || p != nil {
			t.Errorf("%s: the policy was taken (%v, %v)", f.Name, p, err)
			continue
		}
		got := err.Error() + "\n"
		out = append(out, f, txtar.File{Name: f.Name + "/error", Data: []byte(got)})
		if !*update {
			if diff := cmp.Diff(want[f.Name], got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", f.Name, diff)
			}
		}
	}
	if cases < 35 {
		t.Errorf("%d inputs, want at least 35", cases)
	}
	if *update {
		archive.Files = out
		if err := os.WriteFile(golden, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
