package filesystem

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// resolveFiles brings the paths of Files to real ones and adds account lines.
func (b *builder) resolveFiles() error {
	if err := b.mapContents(); err != nil {
		return err
	}
	b.files = map[string]File{}
	for path, packed := range b.Files {
		if err := checkAbsolute("the file", path); err != nil {
			return err
		}
		real := resolve(path)
		if b.bound(real) {
			return fmt.Errorf("%s would be written into %s of the host", path, real)
		}
		f, err := b.unpack(packed)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		b.files[real] = f
	}
	return b.addAccount()
}

// layFiles fills the layers: hidden paths first, then our files, then mount
// points that the host does not have.
func (b *builder) layFiles() error {
	for _, a := range b.areas {
		if err := b.makeLayer(a); err != nil {
			return fmt.Errorf("%s: %w", a.path, err)
		}
	}
	for _, h := range b.hidden {
		if err := b.whiteOut(h); err != nil {
			return fmt.Errorf("hide %s: %w", h, err)
		}
	}
	for path, f := range b.files {
		if err := b.layFile(path, f); err != nil {
			return fmt.Errorf("lay %s: %w", path, err)
		}
	}
	if err := b.unmapContents(); err != nil {
		return err
	}
	points := slices.Clone(own)
	for _, a := range b.areas {
		points = append(points, a.path)
	}
	for _, p := range points {
		if err := b.makePoint(p); err != nil {
			return fmt.Errorf("mount point %s: %w", p, err)
		}
	}
	return nil
}

// makeLayer makes the root of a's layer, with the host's mode and owner: the top
// layer's are the ones that are seen.
func (b *builder) makeLayer(a *area) error {
	if a.file || a.empty || a.own != "" {
		return nil
	}
	st := unix.Stat_t{Mode: 0o700, Uid: b.User.UID, Gid: b.User.GID} // of a home that the host does not have
	if a.lower >= 0 {
		stx, err := cached(a.lower, "", unix.AT_EMPTY_PATH)
		if err != nil {
			return err
		}
		st = unix.Stat_t{Mode: uint32(stx.Mode), Uid: stx.Uid, Gid: stx.Gid}
	}
	if err := unix.Mkdirat(b.scratch, a.layer, 0o700); err != nil {
		return err
	}
	if err := b.likeHost(a.layer, st); err != nil {
		return err
	}
	if a.home {
		return b.likeHost("upper", st)
	}
	return nil
}

// cached returns what the kernel knows of a file without asking who serves it: a
// FUSE server that is gone, or does not answer, keeps no bottle from starting.
func cached(dir int, path string, flags int) (stx unix.Statx_t, err error) {
	err = unix.Statx(dir, path, flags|unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE|unix.STATX_MODE|unix.STATX_UID|unix.STATX_GID, &stx)
	return stx, err
}

func (b *builder) likeHost(name string, st unix.Stat_t) error {
	if err := unix.Fchownat(b.scratch, name, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	return unix.Fchmodat(b.scratch, name, st.Mode&0o7777, 0)
}

// layerDir makes dir, an absolute path in a, in a's layer and returns its name
// below scratch. A directory that the host has keeps its mode and owner; another
// one is its parent's owner's. A whiteout on the way becomes an empty directory.
func (b *builder) layerDir(a *area, dir string) (string, error) {
	name := a.layer
	rel, err := filepath.Rel(a.path, dir)
	if err != nil || rel == "." {
		return name, err
	}
	for i, part := range strings.Split(rel, "/") {
		parent := name
		name += "/" + part
		var have unix.Stat_t
		err := unix.Fstatat(b.scratch, name, &have, unix.AT_SYMLINK_NOFOLLOW)
		opaque := err == nil && have.Mode&unix.S_IFMT == unix.S_IFCHR
		switch {
		case opaque:
			if err := unix.Unlinkat(b.scratch, name, 0); err != nil {
				return "", err
			}
		case err == nil:
			continue
		}
		st, err := b.hostDir(a, strings.Join(strings.Split(rel, "/")[:i+1], "/"), parent)
		if err != nil {
			return "", err
		}
		if err := unix.Mkdirat(b.scratch, name, 0o700); err != nil {
			return "", err
		}
		if err := b.likeHost(name, st); err != nil {
			return "", err
		}
		if opaque {
			if err := unix.Setxattr(byFD(b.scratch)+"/"+name, "trusted.overlay.opaque", []byte("y"), 0); err != nil {
				return "", err
			}
		}
	}
	return name, nil
}

// hostDir returns the attributes that the directory rel of a is to have.
func (b *builder) hostDir(a *area, rel, parent string) (st unix.Stat_t, err error) {
	err = unix.ENOENT
	if a.lower >= 0 {
		err = unix.Fstatat(a.lower, rel, &st, unix.AT_SYMLINK_NOFOLLOW)
	}
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return st, fmt.Errorf("%s is not a directory on the host", filepath.Join(a.path, rel))
	}
	if errors.Is(err, unix.ENOENT) {
		err = unix.Fstatat(b.scratch, parent, &st, unix.AT_SYMLINK_NOFOLLOW)
		st.Mode = 0o755
	}
	return st, err
}

// whiteOut hides path: a character device 0:0 in an upper layer says that the
// file below is gone (Documentation/filesystems/overlayfs.rst). Of a directory that
// the host does not have yet, the first part that is missing is hidden: a program of
// the host may make it while the bottle runs. In a bind path is covered instead.
func (b *builder) whiteOut(path string) error {
	a := b.areaOf(path)
	if b.bound(path) || ownPath(path) || a.empty || a.own != "" || a.path == path || a.lower < 0 {
		return nil
	}
	rel, err := filepath.Rel(a.path, path)
	if err != nil {
		return err
	}
	for missing := true; missing; {
		var st unix.Stat_t
		err := unix.Fstatat(a.lower, filepath.Dir(rel), &st, unix.AT_SYMLINK_NOFOLLOW)
		if missing = errors.Is(err, unix.ENOENT); missing {
			rel = filepath.Dir(rel)
		} else if errors.Is(err, unix.ENOTDIR) || err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			return nil
		} else if err != nil {
			return err
		}
	}
	parent, err := b.layerDir(a, filepath.Join(a.path, filepath.Dir(rel)))
	if err != nil {
		return err
	}
	err = unix.Mknodat(b.scratch, parent+"/"+filepath.Base(rel), unix.S_IFCHR, 0)
	if errors.Is(err, unix.EEXIST) { // hidden already, with another path in it
		return nil
	}
	return err
}

// layFile writes one of our files into the layer, or into our own directory.
func (b *builder) layFile(path string, f File) error {
	a := b.areaOf(path)
	dir, owner := "", [2]int{0, 0}
	var err error
	switch {
	case a.own != "":
		dir = filepath.Join(a.own, strings.TrimPrefix(filepath.Dir(path), a.path))
		err = os.MkdirAll(byFD(b.scratch)+"/"+dir, 0o755)
	case a.empty || a.file || ownPath(path):
		return errors.New("nothing can be laid there")
	default:
		dir, err = b.layerDir(a, filepath.Dir(path))
	}
	if err != nil {
		return err
	}
	if a.home {
		owner = [2]int{int(b.User.UID), int(b.User.GID)}
	}
	name := byFD(b.scratch) + "/" + dir + "/" + filepath.Base(path)
	if err := os.RemoveAll(name); err != nil { // a whiteout
		return err
	}
	if f.Link != "" {
		err = os.Symlink(f.Link, name)
	} else {
		err = writeFile(name, f.Data, f.Mode)
	}
	return errors.Join(err, os.Lchown(name, owner[0], owner[1]))
}

func writeFile(name string, data []byte, mode fs.FileMode) error {
	if mode == 0 {
		mode = 0o644
	}
	if mode&^fs.ModePerm != 0 {
		return fmt.Errorf("mode %v has more than permission bits", mode)
	}
	if err := os.WriteFile(name, data, mode); err != nil {
		return err
	}
	return os.Chmod(name, mode) // past the umask
}

// makePoint makes sure that path exists to be mounted on.
func (b *builder) makePoint(path string) error {
	a := b.areaOf(path)
	if a.path == path {
		if path == "/" {
			return nil
		}
		a = b.areaOf(filepath.Dir(path))
	}
	if a.empty || a.own != "" || a.file || ownPath(path) && filepath.Dir(path) != "/" && path != "/var/tmp" {
		return nil // made when its parent is there
	}
	rel, err := filepath.Rel(a.path, path)
	if err != nil {
		return err
	}
	if a.lower >= 0 {
		if _, err := cached(a.lower, rel, unix.AT_SYMLINK_NOFOLLOW); !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	_, err = b.layerDir(a, path)
	return err
}

// addAccount lays /etc/passwd and /etc/group with a line for the bottle's user
// and group where the host has none, as for a mapped user: programs ask for the
// name of their user and choke on no answer.
func (b *builder) addAccount() error {
	for path, add := range map[string]func([]byte) []byte{
		"/etc/passwd": func(have []byte) []byte { return withUser(have, b.User, b.UserName, b.Home) },
		"/etc/group":  func(have []byte) []byte { return withGroup(have, b.User.GID, b.UserName) },
	} {
		if _, ours := b.files[path]; ours {
			continue
		}
		have, err := os.ReadFile(path)
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		if with := add(have); !bytes.Equal(with, have) {
			b.files[resolve(path)] = File{Data: with}
		}
	}
	return nil
}
