package policy

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"bottled/attack"
)

// rootDir is a directory that only root can write to, all the way down.
func rootDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/run", "bottled-policy-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestAttackA09PolicyFile offers policies that somebody but root could have written.
// The control of each is the same file before the one change.
func TestAttackA09PolicyFile(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, dir, file string) string{
		"world-writable file":       func(t *testing.T, _, f string) string { must(t, os.Chmod(f, 0o666)); return f },
		"group-writable file":       func(t *testing.T, _, f string) string { must(t, os.Chmod(f, 0o664)); return f },
		"a user's file":             func(t *testing.T, _, f string) string { must(t, os.Chown(f, 1000, 0)); return f },
		"world-writable directory":  func(t *testing.T, d, f string) string { must(t, os.Chmod(d, 0o777)); return f },
		"sticky directory":          func(t *testing.T, d, f string) string { must(t, os.Chmod(d, 0o777|os.ModeSticky)); return f },
		"group-writable directory":  func(t *testing.T, d, f string) string { must(t, os.Chmod(d, 0o775)); return f },
		"a user's directory":        func(t *testing.T, d, f string) string { must(t, os.Chown(d, 1000, 0)); return f },
		"writable parent directory": func(t *testing.T, d, f string) string { must(t, os.Chmod(filepath.Dir(d), 0o777)); return f },
		"hard link": func(t *testing.T, d, f string) string {
			must(t, os.Link(f, filepath.Join(d, "twin.yaml")))
			return f
		},
		"symbolic link": func(t *testing.T, d, f string) string {
			link := filepath.Join(d, "link.yaml")
			must(t, os.Symlink(f, link))
			return link
		},
		"directory through a symbolic link": func(t *testing.T, d, f string) string {
			link := d + "-link"
			must(t, os.Symlink(d, link))
			return filepath.Join(link, filepath.Base(f))
		},
		"FIFO": func(t *testing.T, _, f string) string {
			must(t, os.Remove(f))
			must(t, unix.Mkfifo(f, 0o644))
			return f
		},
		"directory in its place": func(t *testing.T, _, f string) string {
			must(t, os.Remove(f))
			must(t, os.Mkdir(f, 0o755))
			return f
		},
		"dots in the path": func(_ *testing.T, d, f string) string { return d + "/../" + filepath.Base(d) + "/" + filepath.Base(f) },
		"relative path":    func(_ *testing.T, _, f string) string { return filepath.Base(f) },
		"control character": func(t *testing.T, _, f string) string {
			put(t, f, "version: 1\nhosts: {never: [\"a\u0085b.example.com\"]}\n")
			return f
		},
	} {
		root := rootDir(t)
		dir := filepath.Join(root, "etc")
		file := filepath.Join(dir, "policy.yaml")
		put(t, file, "version: 1\n")
		attack.Stopped(t, "A09", name,
			func(*testing.T) error { _, err := Load(file); return err },
			func(t *testing.T) error {
				_, err := Load(change(t, dir, file))
				if errors.Is(err, fs.ErrNotExist) {
					t.Fatal("taken for a missing file, which would mean the defaults")
				}
				return err
			})
	}
}

// TestAttackA09Access: an access control list that lets a user write shows in the
// group's bits.
func TestAttackA09Access(t *testing.T) {
	file := filepath.Join(rootDir(t), "policy.yaml")
	put(t, file, "version: 1\n")
	acl := []byte{2, 0, 0, 0} // POSIX_ACL_XATTR_VERSION; then tag, permissions, id (linux/posix_acl_xattr.h)
	entry := func(tag, perm byte, id uint32) {
		acl = append(acl, tag, 0, perm, 0, byte(id), byte(id>>8), byte(id>>16), byte(id>>24))
	}
	const undefined = 1<<32 - 1
	entry(0x01, 6, undefined) // ACL_USER_OBJ
	entry(0x02, 6, 1000)      // ACL_USER
	entry(0x04, 4, undefined) // ACL_GROUP_OBJ
	entry(0x10, 6, undefined) // ACL_MASK
	entry(0x20, 4, undefined) // ACL_OTHER
	attack.Stopped(t, "A09", "access control list",
		func(*testing.T) error { _, err := Load(file); return err },
		func(t *testing.T) error {
			must(t, unix.Setxattr(file, "system.posix_acl_access", acl, 0))
			_, err := Load(file)
			return err
		})
}

func TestAMissingFileIsToldApart(t *testing.T) {
	dir := rootDir(t)
	for _, path := range []string{filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "no", "policy.yaml")} {
		if _, err := Load(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
