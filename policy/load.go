package policy

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"bottled/strict"
)

// DefaultPath is where the policy is looked for.
const DefaultPath = "/etc/bottled/policy.yaml"

// Load reads the policy at path, which is absolute. The file, and every directory
// on the way to it, must be root's and writable to nobody else; a symbolic or hard
// link, and a file system that another machine serves, are refused as well. The same
// holds for a file of certificates that it names. The error matches [os.ErrNotExist]
// where there is no policy at path.
func Load(path string) (*Policy, error) {
	text, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("policy %q: %w", path, err)
	}
	return parsePolicy(path, text, read)
}

// read returns what is in a file of the operator's, up to one byte more than any
// parser here takes.
func read(path string) ([]byte, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, strict.MaxYAML+1))
}

// open walks to the file one name at a time, holding each directory it has judged,
// so that what is judged is what is read.
func open(path string) (*os.File, error) {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path || path == "/" {
		return nil, errors.New("write an absolute path without . or .. in it")
	}
	names := strings.Split(path[1:], "/")
	dir, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer func() { unix.Close(dir) }()
	if err := trusted(dir, "/", unix.S_IFDIR); err != nil {
		return nil, err
	}
	for i, name := range names[:len(names)-1] {
		next, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		unix.Close(dir)
		dir = next
		if err := trusted(dir, "/"+strings.Join(names[:i+1], "/"), unix.S_IFDIR); err != nil {
			return nil, err
		}
	}
	// O_NONBLOCK keeps a FIFO in its place from hanging the daemon.
	fd, err := unix.Openat(dir, names[len(names)-1], unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, errors.New("it is a symbolic link: write the real path")
	}
	if err != nil {
		return nil, err
	}
	if err := errors.Join(trusted(fd, path, unix.S_IFREG), local(fd)); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// trusted refuses what somebody but root owns, may write to or knows by another
// name. With an access control list, the group's bits are the most that it grants
// to anyone (acl(5)), so they cover it.
func trusted(fd int, path string, kind uint32) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFLNK:
		return fmt.Errorf("%q is a symbolic link: write the real path", path)
	case st.Mode&unix.S_IFMT != kind && kind == unix.S_IFDIR:
		return fmt.Errorf("%q is not a directory", path)
	case st.Mode&unix.S_IFMT != kind:
		return errors.New("it is not a regular file")
	case st.Uid != 0:
		return fmt.Errorf("%q is owned by uid %d, who could change it: chown it to root", path, st.Uid)
	case st.Mode&0o022 != 0:
		return fmt.Errorf("%q has mode %04o, with which others could change it: chmod it to go-w", path, st.Mode&0o7777)
	case kind == unix.S_IFREG && st.Nlink != 1:
		return fmt.Errorf("%q has %d hard links: keep it under one name", path, st.Nlink)
	}
	return nil
}

// remote are file systems whose files another machine can change (statfs(2)).
var remote = map[uint32]string{
	unix.NFS_SUPER_MAGIC: "NFS", unix.SMB_SUPER_MAGIC: "SMB", unix.CIFS_SUPER_MAGIC: "CIFS", unix.SMB2_SUPER_MAGIC: "SMB",
	unix.AFS_SUPER_MAGIC: "AFS", unix.CODA_SUPER_MAGIC: "Coda", unix.CEPH_SUPER_MAGIC: "Ceph",
}

func local(fd int) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return err
	}
	if name, ok := remote[uint32(st.Type)]; ok {
		return fmt.Errorf("it is on %s, where another machine could change it: keep it on a local file system", name)
	}
	return nil
}
