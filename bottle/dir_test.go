package bottle

import (
	"errors"
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
