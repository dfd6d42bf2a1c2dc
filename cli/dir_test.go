package cli

import (
	"os"
	"path/filepath"
	"testing"
)

// Root's working directory is sent by the name that the kernel has for it, which leads over
// no link, and a directory that was named as it was named: to follow its links here would be
// to follow whatever lies there by then.
func TestRootsDirectory(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	real, link := filepath.Join(top, "real"), filepath.Join(top, "link")
	manifest := filepath.Join(top, "m.yaml")
	for _, err := range []error{os.MkdirAll(filepath.Join(real, "below"), 0o755), os.Symlink(real, link), os.WriteFile(manifest, []byte("version: 1\n"), 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(link)
	t.Setenv("PWD", link)
	if at, err := os.Getwd(); err != nil || at != link {
		t.Fatalf("the control: a shell's name for it is %q, %v", at, err)
	}
	for dir, want := range map[string]string{".": real, "below": filepath.Join(real, "below"), link: link} {
		r, err := (&App{Stderr: os.Stderr}).createRequest(runOptions{manifest: manifest, dir: dir, command: []string{"true"}})
		if err != nil || r.Dir != want {
			t.Errorf("%s is sent as %q, %v", dir, r.Dir, err)
		}
	}
}
