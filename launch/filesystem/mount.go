package filesystem

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Attributes of mounts (mount_setattr(2)).
const (
	sealed   = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	readOnly = unix.MOUNT_ATTR_RDONLY
	noExec   = unix.MOUNT_ATTR_NOEXEC
)

// A detached is a mount that is in no tree yet: a descriptor from fsmount(2) or
// open_tree(2). attach puts it somewhere; close without attach unmounts it.
type detached struct{ fd int }

func (d detached) close() { unix.Close(d.fd) }

// newMount makes a file system. options are "key=value" or "flag".
func newMount(fstype string, attributes int, options ...string) (detached, error) {
	fs, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return detached{-1}, fmt.Errorf("make a %s: %w", fstype, err)
	}
	defer unix.Close(fs)
	for _, o := range options {
		key, value, hasValue := strings.Cut(o, "=")
		if hasValue {
			err = unix.FsconfigSetString(fs, key, value)
		} else {
			err = unix.FsconfigSetFlag(fs, key)
		}
		if err != nil {
			return detached{-1}, fmt.Errorf("make a %s with %s: %w%s", fstype, o, err, kernelLog(fs))
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return detached{-1}, fmt.Errorf("make a %s: %w%s", fstype, err, kernelLog(fs))
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, attributes)
	if err != nil {
		return detached{-1}, fmt.Errorf("mount a %s: %w", fstype, err)
	}
	return detached{fd}, nil
}

// kernelLog returns what the kernel has to say about a file system context, as a suffix.
func kernelLog(fs int) string {
	var buf [512]byte
	n, err := unix.Read(fs, buf[:])
	if err != nil || n == 0 {
		return ""
	}
	return " (" + strings.TrimSpace(string(buf[:n])) + ")"
}

// cloneTree takes the mount that fd lies in, from fd downward and without what is
// mounted below it, and gives it attributes and no propagation to its origin.
func cloneTree(fd int, attr unix.MountAttr) (detached, error) {
	clone, err := unix.OpenTree(fd, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return detached{-1}, fmt.Errorf("clone the mount: %w", err)
	}
	attr.Propagation = unix.MS_PRIVATE
	if err := unix.MountSetattr(clone, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		unix.Close(clone)
		return detached{-1}, fmt.Errorf("set mount attributes: %w", err)
	}
	return detached{clone}, nil
}

// attach moves the mount to path below root and closes its descriptor.
func (d detached) attach(root int, path string) error {
	defer d.close()
	at, err := openIn(root, path)
	if err != nil {
		return err
	}
	defer unix.Close(at)
	if err := unix.MoveMount(d.fd, "", at, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount on %s: %w", path, err)
	}
	return nil
}

// openIn opens path below the directory root as a location. No symbolic link in
// it is followed, the last one neither.
func openIn(root int, path string) (int, error) {
	fd, err := unix.Openat2(root, inside(path), &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC | unix.O_NOFOLLOW,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return -1, fmt.Errorf("find %s in the bottle: %w", path, err)
	}
	return fd, nil
}

// makeDirs makes path below root with all its parents, mode 0755, and follows no
// symbolic link.
func makeDirs(root int, path string) error {
	fd, err := openIn(root, path)
	if err == nil {
		return unix.Close(fd)
	}
	if !errors.Is(err, unix.ENOENT) || path == "/" {
		return err
	}
	if err := makeDirs(root, filepath.Dir(path)); err != nil {
		return err
	}
	parent, err := openIn(root, filepath.Dir(path))
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	if err := unix.Mkdirat(parent, filepath.Base(path), 0o755); err != nil {
		return fmt.Errorf("make %s in the bottle: %w", path, err)
	}
	return nil
}

// inside turns an absolute path of the bottle into one relative to its root.
func inside(path string) string {
	if rel := strings.TrimPrefix(filepath.Clean(path), "/"); rel != "" {
		return rel
	}
	return "."
}

// byFD is a path that means the open file fd whatever is mounted over its name.
// It holds no character that mount options would have to escape.
func byFD(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
