package bpf

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Mounted is where a BPF file system usually is.
const Mounted = "/sys/fs/bpf"

// FS returns a directory of a BPF file system: [Mounted] if there is one, else dir,
// where one is mounted unless it already is. The directory is made, for root alone.
// Calling it again gives the same answer and mounts nothing.
func FS(dir string) (string, error) {
	if IsFS(Mounted) {
		return Mounted, nil
	}
	if IsFS(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("BPF file system: %w", err)
	}
	flags := uintptr(unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	if err := unix.Mount("bpf", dir, "bpf", flags, "mode=0700"); err != nil {
		return "", fmt.Errorf("BPF file system: mount on %q: %w: mount one on %q by hand: mount -t bpf bpf %[3]s", dir, err, Mounted)
	}
	if !IsFS(dir) {
		return "", errors.Join(fmt.Errorf("BPF file system: %q is none after the mount", dir), unix.Unmount(dir, unix.MNT_DETACH))
	}
	return dir, nil
}

// ReleaseFS unmounts what [FS] mounted on dir, once nothing is pinned there: with the
// file system all pins in it would end. Where FS mounted nothing it does nothing. Nobody
// may be about to pin something there.
func ReleaseFS(dir string) error {
	if !IsFS(dir) {
		return nil
	}
	pins, err := os.ReadDir(dir)
	if err != nil || slices.ContainsFunc(pins, isPin) {
		return err
	}
	err = unix.Unmount(dir, unix.UMOUNT_NOFOLLOW)
	if errors.Is(err, unix.EBUSY) { // somebody looks at it
		return nil
	}
	if err != nil {
		return fmt.Errorf("BPF file system: unmount %q: %w", dir, err)
	}
	return os.Remove(dir)
}

// isPin says whether somebody pinned it: the kernel may put two iterators into every
// file system (kernel/bpf/inode.c, populate_bpffs).
func isPin(e os.DirEntry) bool { return e.Name() != "maps.debug" && e.Name() != "progs.debug" }

// IsFS says whether dir is on a BPF file system.
func IsFS(dir string) bool {
	var stat unix.Statfs_t
	return unix.Statfs(dir, &stat) == nil && stat.Type == unix.BPF_FS_MAGIC
}
