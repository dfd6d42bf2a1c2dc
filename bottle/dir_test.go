package bottle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A working directory behind one that is closed to the bottle's user is refused, by a
// message that names the closed one: for a user made up before anything is made, and for
// another, such as one who is in a group that the bottle is not in, by the first process.
func TestAClosedWayToTheDirectory(t *testing.T) {
	base, err := os.MkdirTemp("/var/lib", "bottled-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	way := filepath.Join(base, "closed")
	dir := filepath.Join(way, "project")
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(base, 0o755)); err != nil {
		t.Fatal(err)
	}
	m := newManager(t)
	create := func(u *Identity) error {
		i, err := m.Create(t.Context(), root, CreateOptions{Command: []string{"true"}, Dir: dir, User: u, Manifest: []byte("version: 1\n")})
		if err == nil {
			_, err = m.Wait(t.Context(), root, i.ID, false)
		}
		return err
	}
	for name, user := range map[string]*Identity{"made up": nil, "another": &someone} {
		if err := os.Chmod(way, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := create(user); err != nil {
			t.Errorf("%s: the control, with the way open: %v", name, err)
		}
		if err := os.Chmod(way, 0o750); err != nil {
			t.Fatal(err)
		}
		err := create(user)
		if err == nil || !strings.Contains(err.Error(), `"`+way+`" is closed`) || !strings.Contains(err.Error(), "chmod o+x") {
			t.Errorf("%s: %v", name, err)
		}
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: not said to be the caller's matter: %v", name, err)
		}
		nothingLeft(t, m)
	}
}

// TestRootsDirectoryIsNoLink has somebody put a link in the place of the directory that root
// starts a bottle in: its owner's rights there would be the bottle's. The control writes by
// the real path.
func TestRootsDirectoryIsNoLink(t *testing.T) {
	base, err := os.MkdirTemp("/var/lib", "bottled-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	roots, link, below := filepath.Join(base, "roots"), filepath.Join(base, "link"), filepath.Join(base, "link", "below")
	err = errors.Join(os.Chmod(base, 0o755), os.MkdirAll(filepath.Join(roots, "below"), 0o755), os.Symlink(roots, link))
	if err != nil {
		t.Fatal(err)
	}
	m := newManager(t)
	write := func(dir string) error {
		i, err := m.Create(t.Context(), root, CreateOptions{Command: []string{"touch", "written"}, Dir: dir, Manifest: []byte("version: 1\n")})
		if err != nil {
			return err
		}
		exit, err := m.Wait(t.Context(), root, i.ID, false)
		if err == nil && exit.Code != 0 {
			err = fmt.Errorf("exit status %d", exit.Code)
		}
		return err
	}
	for _, dir := range []string{roots, filepath.Join(roots, "below")} {
		if err := write(dir); err != nil {
			t.Errorf("the control: %q: %v", dir, err)
		}
		if err := os.Remove(filepath.Join(dir, "written")); err != nil {
			t.Errorf("the control: %v", err)
		}
	}
	for _, dir := range []string{link, below} {
		if err := write(dir); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "write the real path") {
			t.Errorf("%q: %v", dir, err)
		}
	}
	for _, dir := range []string{roots, filepath.Join(roots, "below")} {
		if _, err := os.Stat(filepath.Join(dir, "written")); err == nil {
			t.Errorf("the bottle wrote to %q", dir)
		}
	}
	nothingLeft(t, m)
}
