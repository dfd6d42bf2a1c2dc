package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Group is whose members may call, besides root.
const Group = "bottled"

// ErrInUse is [Listen]'s where a daemon listens already.
var ErrInUse = errors.New("a daemon is already listening")

// Listen makes the socket at path: root and the members of [Group] may connect,
// or only root where the host has no such group. Its directory is made if it is
// missing. A socket that nobody listens on is replaced; one that somebody does is
// not touched, and the error is [ErrInUse].
func Listen(path string) (net.Listener, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("socket %q: an absolute path is needed", path)
	}
	if err := checkDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	// The mode of the socket before bind(2) is what the inode gets (unix_bind_bsd in
	// net/unix/af_unix.c), so that nobody can connect before it is right.
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		return errors.Join(raw.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }), err)
	}}
	l, err := config.Listen(context.Background(), "unix", path)
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("socket %q: %w", path, ErrInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("socket %q: %w", path, err)
	}
	if err := openToGroup(path); err != nil {
		l.Close()
		return nil, fmt.Errorf("socket %q: %w", path, err)
	}
	return l, nil
}

// checkDir makes the directory, and refuses one in which somebody else could put
// another socket in the place of ours.
func checkDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("socket directory: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("socket directory: %w", err)
	}
	st := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || int(st.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("socket directory %q: it must be a directory that only its owner, uid %d, can write to", dir, os.Geteuid())
	}
	return nil
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("socket %q: something that is not a socket is there; move it away", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		c.Close()
		return fmt.Errorf("socket %q: %w", path, ErrInUse)
	case !errors.Is(err, unix.ECONNREFUSED): // a full backlog is a daemon too
		return fmt.Errorf("socket %q: %w (%v)", path, ErrInUse, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("stale socket: %w", err)
	}
	return nil
}

// openToGroup lets the members of Group connect, if there is such a group.
func openToGroup(path string) error {
	g, err := user.LookupGroup(Group)
	var unknown user.UnknownGroupError
	if errors.As(err, &unknown) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("group %q: %w", Group, err)
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return fmt.Errorf("group %q: %w", Group, err)
	}
	if err := os.Lchown(path, -1, gid); err != nil {
		return err
	}
	return os.Chmod(path, 0o660)
}

// socketGroup is the group that may connect to the socket at path, or 0, for root
// alone, where there is none or it cannot be told.
func socketGroup(path string) uint32 {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != fs.ModeSocket || info.Mode().Perm()&0o020 == 0 {
		return 0
	}
	return info.Sys().(*syscall.Stat_t).Gid
}
