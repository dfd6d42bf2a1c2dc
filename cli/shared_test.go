package cli

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bottled/routes"
)

// notes is what is told.
func notes(t *testing.T, dir, manifest string, s routes.Settings) string {
	t.Helper()
	said, err := os.Create(filepath.Join(t.TempDir(), "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	(&App{Stderr: said}).noteShared(dir, "/home/nobody", manifest, s)
	text, err := os.ReadFile(said.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestNoteShared(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	write := func(path string) string {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	listen := func(path string) string {
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return path
	}
	if err := os.MkdirAll(filepath.Join(dir, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	in, out := listen(filepath.Join(dir, "agent 1.sock")), listen(filepath.Join(outside, "a.sock"))
	file, absent := write(filepath.Join(dir, ".env")), filepath.Join(dir, ".env.local")
	elsewhere := write(filepath.Join(outside, ".env"))
	note := func(s routes.Settings) string { return notes(t, dir, filepath.Join(outside, "bottled.yaml"), s) }
	s := routes.Settings{Hidden: []string{file, absent, elsewhere, filepath.Join(dir, "secrets"), "~/.netrc"}}
	text := note(s)
	for what, want := range map[string]int{in: 1, out: 0, file + `" is hidden until`: 1, absent + `" is hidden and not there`: 1, elsewhere: 0, "secrets": 0, ".netrc": 0} {
		if got := strings.Count(text, what); got != want {
			t.Errorf("%q is told %d times, not %d:\n%s", what, got, want, text)
		}
	}
	s.Writable = []string{outside}
	if text = note(s); !strings.Contains(text, out) || !strings.Contains(text, elsewhere) {
		t.Errorf("of what is writable nothing is told:\n%s", text)
	}
	if err := os.Remove(in); err != nil {
		t.Fatal(err)
	}
	if text = note(routes.Settings{}); text != "" {
		t.Errorf("of nothing: %s", text)
	}
}

func TestNoteManifest(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	for manifest, want := range map[string]string{
		"":                                     "bottled.yaml is not used",
		filepath.Join(dir, "bottled.yaml"):     "the next run would go by",
		filepath.Join(outside, "bottled.yaml"): "",
	} {
		for _, d := range []string{dir, outside} {
			if err := os.WriteFile(filepath.Join(d, "bottled.yaml"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := notes(t, dir, manifest, routes.Settings{}); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%q: %q", manifest, got)
		}
	}
}

func TestManySockets(t *testing.T) {
	dir := t.TempDir()
	for _, name := range strings.Split("abcdefgh", "") {
		l, err := net.Listen("unix", filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	if got := notes(t, dir, "", routes.Settings{}); strings.Count(got, "\n") != maxShared+1 || !strings.Contains(got, "and 3 more") {
		t.Errorf("%s", got)
	}
}
