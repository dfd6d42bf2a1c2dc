// Package golden holds what a person is told about bad input: one txtar file, in which
// NAME is an input and NAME/error the exact error for it. An input whose name ends in
// .quoted is a Go string, for bytes that an editor would not keep.
//
// The package is imported by tests only.
package golden

import (
	"flag"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the errors that come into the golden file")

// Refused gives each input of the file to refuse, which returns its error, and compares
// that with the one of the file. Input that is taken, and fewer inputs than least, fail
// the test.
func Refused(t *testing.T, file string, least int, refuse func(input []byte) error) {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string]string)
	for _, f := range archive.Files {
		if name, ok := strings.CutSuffix(f.Name, "/error"); ok {
			want[name] = string(f.Data)
		}
	}
	var out []txtar.File
	for _, f := range archive.Files {
		if strings.HasSuffix(f.Name, "/error") {
			continue
		}
		err := refuse(input(t, f))
		if err == nil {
			t.Errorf("%s: taken", f.Name)
			continue
		}
		got := err.Error() + "\n"
		out = append(out, f, txtar.File{Name: f.Name + "/error", Data: []byte(got)})
		if diff := cmp.Diff(want[f.Name], got); diff != "" && !*update {
			t.Errorf("%s (-want +got):\n%s", f.Name, diff)
		}
	}
	if cases := len(out) / 2; cases < least {
		t.Errorf("%d inputs are refused, want at least %d", cases, least)
	}
	if *update {
		archive.Files = out
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func input(t *testing.T, f txtar.File) []byte {
	t.Helper()
	if !strings.HasSuffix(f.Name, ".quoted") {
		return f.Data
	}
	s, err := strconv.Unquote(strings.TrimSpace(string(f.Data)))
	if err != nil {
		t.Fatalf("%s: %v", f.Name, err)
	}
	return []byte(s)
}
