// Package cgroup makes, kills and removes the cgroup2 groups in which bottles run.
//
// [Base] says below which directory; [Create] makes a group there; its descriptor is
// for clone3(CLONE_INTO_CGROUP) and for attaching programs. [Group.Kill] ends all of
// it. A name is never used a second time: once cgroup.kill was written, every process
// that is cloned into the group or below it is killed at once (seen on 6.18).
//
// The methods of a Group may be used by several goroutines at once, except that Close
// must be the last.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Group is an open cgroup2 directory.
type Group struct {
	path string
	dir  *os.File
	id   uint64
}

// Create makes the group at path, an absolute path on the cgroup2 file system, with
// the missing groups above it. A group that is already there is an error: it may have
// been killed, or belong to somebody.
func Create(path string) (*Group, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("create cgroup: %w", err)
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("create cgroup %q: it exists: a name is never used twice, remove it and take another", path)
		}
		return nil, fmt.Errorf("create cgroup: %w", err)
	}
	g, err := Open(path)
	if err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return g, nil
}

// Open opens the group at path. What is not on a cgroup2 file system is an error.
func Open(path string) (*Group, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open cgroup: %w", err)
	}
	id, err := identify(dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open cgroup %q: %w", path, err), dir.Close())
	}
	return &Group{path: path, dir: dir, id: id}, nil
}

func identify(dir *os.File) (uint64, error) {
	var mount unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &mount); err != nil {
		return 0, err
	}
	if mount.Type != unix.CGROUP2_SUPER_MAGIC {
		return 0, errors.New("not on a cgroup2 file system")
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &stat); err != nil {
		return 0, err
	}
	return stat.Ino, nil
}

// Path returns the directory of the group.
func (g *Group) Path() string { return g.path }

// ID returns the id of the group, which is the inode of its directory
// (kernel/cgroup/cgroup.c, cgroup_id) and is not given again while the machine runs.
func (g *Group) ID() uint64 { return g.id }

// FD returns the descriptor of the directory. It stays the Group's.
func (g *Group) FD() int { return int(g.dir.Fd()) }

// Close gives the descriptor back. The group stays.
func (g *Group) Close() error { return g.dir.Close() }
