package filesystem

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bottled/launch/identity"

	"golang.org/x/sys/unix"
)

// A bind is a path of the host that the bottle may write to.
type bind struct {
	path   string // real, without symbolic links
	fd     int    // opened with the user's permissions
	mapped bool   // by the user namespace of MapDir
}

// Never bound, neither they nor what is in them: writing there from a bottle
// would be writing into the system, or they are the bottle's own.
var systemTrees = []string{
	"/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run", "/sbin", "/sys", "/usr",
}

// Never bound themselves, because other people's files are in them.
var systemDirs = []string{
	"/", "/home", "/media", "/mnt", "/opt", "/srv", "/tmp", "/var", "/var/lib", "/var/tmp", "/var/cache", "/var/log",
}

// openBinds opens Dir and Writable before anything is mounted over them. Which
// paths are hidden is found out first: they are not to be bound.
func (b *builder) openBinds() error {
	if err := b.User.Check(); err != nil {
		return err
	}
	if err := checkAbsolute("the home", b.Home); err != nil {
		return err
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	if b.mounts, err = parseMountinfo(table); err != nil {
		return err
	}
	if err := b.findHomes(); err != nil {
		return err
	}
	b.hidden = b.findHidden()
	if b.Dir != "" && filepath.Clean(b.Dir) != filepath.Clean(b.Home) {
		if err := b.openBind(workingDirectory, b.Dir); err != nil {
			return err
		}
	}
	for _, p := range b.Writable {
		if err := b.openBind("bottle.writable", p); err != nil {
			return err
		}
	}
	return nil
}

// openBind opens one path, as the user but for what MapDir maps. what says in an error
// where it comes from; of the working directory more is asked.
func (b *builder) openBind(what, path string) (err error) {
	defer func() {
		if err != nil {
			err = &PathError{what, path, err}
		}
	}()
	if err := checkAbsolute("the path", path); err != nil {
		return err
	}
	d := bind{mapped: b.MapDir && path == b.Dir}
	if d.mapped {
		d.fd, err = openReal(path)
	} else {
		err = identity.As(b.User, func() (err error) {
			d.fd, err = openLocation(path)
			return err
		})
	}
	if what == workingDirectory && errors.Is(err, unix.EACCES) {
		if closed := passable(path, b.User, d.mapped); closed != nil {
			return closed
		}
	}
	if err != nil {
		return fmt.Errorf("as user %d: %w", b.User.UID, err)
	}
	if d.path, err = nameOf(d.fd); err != nil {
		unix.Close(d.fd)
		return err
	}
	if slices.ContainsFunc(b.binds, func(o bind) bool { return o.path == d.path }) {
		return unix.Close(d.fd)
	}
	b.binds = append(b.binds, d)
	if err := b.checkBind(d.path); err != nil {
		return err
	}
	if what != workingDirectory {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(d.fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return unix.ENOTDIR
	}
	return passable(path, b.User, d.mapped)
}

func openLocation(path string) (int, error) {
	return unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
}

// openReal opens a location on behalf of root, who may stand in a directory of somebody
// else's: a link that they put in its place would lead the mapping, and so what the bottle
// may write, to any directory of the host.
func openReal(path string) (int, error) {
	fd, err := unix.Openat2(unix.AT_FDCWD, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS})
	if errors.Is(err, unix.ELOOP) {
		return -1, errors.New("a symbolic link is on the way: for root, write the real path")
	}
	return fd, err
}

// nameOf returns the path by which fd was found, without symbolic links.
func nameOf(fd int) (string, error) {
	name, err := os.Readlink(byFD(fd))
	if err != nil {
		return "", err
	}
	var byName, byHandle unix.Stat_t
	if err := errors.Join(unix.Lstat(name, &byName), unix.Fstat(fd, &byHandle)); err != nil {
		return "", err
	}
	if byName.Dev != byHandle.Dev || byName.Ino != byHandle.Ino {
		return "", errors.New("it was moved or removed meanwhile")
	}
	if kind := byHandle.Mode & unix.S_IFMT; kind != unix.S_IFDIR && kind != unix.S_IFREG {
		return "", errors.New("it is neither a directory nor a regular file")
	}
	return name, nil
}

// checkBind refuses what a bottle must not write to, by the real path.
func (b *builder) checkBind(path string) error {
	refuse := func(why string) error {
		return fmt.Errorf("%q can not be written to from a bottle: %s; choose a directory of its own, such as a project's", path, why)
	}
	if slices.Contains(systemDirs, path) || slices.ContainsFunc(systemTrees, func(t string) bool { return within(path, t) }) {
		return refuse("it belongs to the system")
	}
	if slices.ContainsFunc(b.homes, func(home string) bool { return within(home, path) }) {
		return refuse("the home directory is in it")
	}
	for _, h := range b.hidden {
		if within(path, h) {
			return refuse(h + " is hidden from bottles")
		}
	}
	return nil
}

// mountBinds puts the opened paths in their places, with the host's file systems
// that are mounted in them, and covers what is hidden in them.
func (b *builder) mountBinds() error {
	type mount struct {
		path string
		do   func() error
	}
	var list []mount
	for _, d := range b.binds {
		list = append(list, mount{d.path, func() error { return b.mountBind(d) }})
	}
	for _, a := range b.areas {
		if b.bound(a.path) && !slices.ContainsFunc(b.binds, func(d bind) bool { return d.path == a.path }) {
			list = append(list, mount{a.path, func() error { return b.mountArea(a) }})
		}
	}
	slices.SortFunc(list, func(x, y mount) int { return strings.Compare(x.path, y.path) })
	for _, m := range list {
		if err := m.do(); err != nil {
			return fmt.Errorf("%s: %w", m.path, err)
		}
	}
	for _, h := range b.hidden {
		if b.bound(h) {
			if err := b.cover(h); err != nil {
				return err
			}
		}
	}
	return b.sealEmpty()
}

func (b *builder) mountBind(d bind) error {
	attr := unix.MountAttr{Attr_set: sealed}
	if d.mapped {
		attr.Attr_set |= unix.MOUNT_ATTR_IDMAP
		attr.Userns_fd = uint64(b.userns)
	}
	m, err := cloneTree(d.fd, attr)
	if err != nil {
		return err
	}
	if ownPath(d.path) || b.areaOf(d.path).empty {
		if err := makeDirs(b.root, filepath.Dir(d.path)); err != nil {
			return err
		}
		if err := makeTarget(b.root, d); err != nil {
			return err
		}
	}
	return m.attach(b.root, d.path)
}

// makeTarget makes an empty directory or file to mount d on.
func makeTarget(root int, d bind) error {
	var st unix.Stat_t
	if err := unix.Fstat(d.fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return makeDirs(root, d.path)
	}
	parent, err := openIn(root, filepath.Dir(d.path))
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	fd, err := unix.Openat(parent, filepath.Base(d.path), unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o444)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// bound reports whether path lies in a bind, and so can be hidden by a mount only.
func (b *builder) bound(path string) bool {
	return slices.ContainsFunc(b.binds, func(d bind) bool { return within(path, d.path) })
}

// cover hides path, which lies in a bind, under an empty directory or file.
func (b *builder) cover(path string) error {
	fd, err := openIn(b.root, path)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	name := "mask"
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		name = "empty"
	case unix.S_IFLNK:
		return nil // what it leads to is in the list by itself
	}
	m, err := b.inScratch(name, sealed|readOnly|noExec)
	if err != nil {
		return err
	}
	return m.attach(b.root, path)
}
