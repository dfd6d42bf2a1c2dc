package bpf

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A file system is unmounted when nothing is pinned in it, and not before.
func TestReleaseFS(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bpf")
	must(t, ReleaseFS(dir)) // nothing is there
	must(t, os.Mkdir(dir, 0o700))
	must(t, ReleaseFS(dir))
	_, err := os.Stat(dir)
	must(t, err) // a directory that is none is not touched
	must(t, unix.Mount("bpf", dir, "bpf", 0, ""))
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	pins := filepath.Join(dir, "bottled")
	must(t, os.Mkdir(pins, 0o700))
	must(t, ReleaseFS(dir))
	if !IsFS(dir) {
		t.Fatal("unmounted with what is pinned in it")
	}
	must(t, os.Remove(pins))
	must(t, ReleaseFS(dir))
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("left: %v", err)
	}
}
