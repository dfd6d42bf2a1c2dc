package filesystem

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// An area is one mount of the bottle's tree that shows the host's files: the
// root, another file system of the host, or the home.
type area struct {
	path  string
	lower int    // the host's directory or file; -1 where the host has none
	layer string // directory of our own files for it, below scratch
	home  bool   // writable: with an upper layer
	file  bool   // a single file bound by the host
	empty bool   // not shown
	own   string // scratch directory bound here instead
	mount int    // descriptor of an empty area's mount until it is sealed
}

// survey goes through the host's mount table and opens everything that will be
// shown, before the scratch space covers /tmp.
func (b *builder) survey() error {
	seen := map[string]bool{}
	foreign := func(o hostMount) bool { return o.foreign(b.User.UID) }
	for _, m := range slices.Backward(b.mounts) { // the last on a point is the one on top
		// Not even the way through a foreign mount may be taken.
		inForeign := slices.ContainsFunc(b.mounts, func(o hostMount) bool { return foreign(o) && within(m.point, o.point) })
		if seen[m.point] || ownPath(m.point) || inForeign {
			continue
		}
		seen[m.point] = true
		if a := openArea(m); a != nil {
			b.areas = append(b.areas, a)
		}
	}
	if err := b.surveyHome(); err != nil {
		return err
	}
	b.surveyOwn()
	slices.SortFunc(b.areas, func(x, y *area) int { return strings.Compare(x.path, y.path) })
	if len(b.areas) == 0 || b.areas[0].path != "/" || b.areas[0].empty {
		return errors.New("the host's root file system can not be shown")
	}
	// What is mounted below an empty area or one of our own has no place to be.
	b.areas = slices.DeleteFunc(b.areas, func(a *area) bool {
		return slices.ContainsFunc(b.areas, func(o *area) bool {
			return o != a && (o.empty || o.own != "") && !a.home && a.own == "" && within(a.path, o.path)
		})
	})
	for i, a := range b.areas {
		a.layer = fmt.Sprintf("layers/%d", i)
	}
	if err := b.resolveFiles(); err != nil {
		return err
	}
	// A file that is bound on the host, as containers have resolv.conf, gives way to ours.
	b.areas = slices.DeleteFunc(b.areas, func(a *area) bool {
		if _, ours := b.files[a.path]; !a.file || !ours {
			return false
		}
		unix.Close(a.lower)
		return true
	})
	return nil
}

// openArea returns how m is shown, nil when it is not seen on the host either.
func openArea(m hostMount) *area {
	a := &area{path: m.point, lower: -1, mount: -1, empty: !real[m.fstype] && !strings.HasPrefix(m.fstype, "fuse.")}
	fd, err := unix.Open(m.point, unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		a.empty = true // as a FUSE mount of a user, which even root may not enter
		return a
	}
	var stx unix.Statx_t
	err = unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_MNT_ID|unix.STATX_TYPE, &stx)
	if err != nil || stx.Mnt_id != m.id {
		unix.Close(fd) // another mount further up covers it
		return nil
	}
	switch stx.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
	case unix.S_IFREG:
		a.file = true
	default:
		unix.Close(fd)
		return nil
	}
	if a.empty {
		unix.Close(fd)
		if a.file {
			return nil
		}
		return a
	}
	a.lower = fd
	return a
}

// surveyHome makes the home an area, in place of one that is mounted there.
func (b *builder) surveyHome() error {
	home := &area{path: resolve(b.Home), lower: -1, mount: -1, home: true}
	if real, err := filepath.EvalSymlinks(b.Home); err == nil {
		home.path = real
	}
	if home.path == "/" || slices.Contains(own, home.path) {
		return fmt.Errorf("the home can not be %s", home.path)
	}
	fd, err := unix.Open(home.path, unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_DIRECTORY, 0)
	switch {
	case err == nil:
		home.lower = fd
	case !errors.Is(err, unix.ENOENT):
		return fmt.Errorf("home %s: %w", home.path, err)
	}
	b.areas = slices.DeleteFunc(b.areas, func(a *area) bool {
		if a.path != home.path {
			return false
		}
		if a.lower >= 0 {
			unix.Close(a.lower)
		}
		return true
	})
	b.areas = append(b.areas, home)
	return nil
}

// surveyOwn adds the scratch directories that stand in for the host's. Where the
// host has a link to another of them, the link does.
func (b *builder) surveyOwn() {
	for path, dir := range map[string]string{"/tmp": "tmp", "/var/tmp": "var-tmp", "/run": "run"} {
		if real, err := filepath.EvalSymlinks(path); err == nil && real != path {
			continue
		}
		b.areas = append(b.areas, &area{path: path, lower: -1, mount: -1, own: dir})
	}
}

// areaOf returns the area in which path lies.
func (b *builder) areaOf(path string) *area {
	best := b.areas[0]
	for _, a := range b.areas {
		if within(path, a.path) && len(a.path) >= len(best.path) {
			best = a
		}
	}
	return best
}

// mountAreas mounts all areas but those in a bind, parents first.
func (b *builder) mountAreas() error {
	for _, a := range b.areas {
		if b.bound(a.path) {
			continue
		}
		if err := b.mountArea(a); err != nil {
			return fmt.Errorf("%s: %w", a.path, err)
		}
	}
	return nil
}

func (b *builder) mountArea(a *area) error {
	m, err := b.areaMount(a)
	if err != nil && (a.path == "/" || a.home || a.own != "") {
		return err
	}
	if err != nil { // can not be overlaid, so it is not shown
		a.empty = true
		if m, err = newMount("tmpfs", sealed|noExec, "size=64k", "mode=0755"); err != nil {
			return err
		}
	}
	if a.empty {
		if a.mount, err = unix.FcntlInt(uintptr(m.fd), unix.F_DUPFD_CLOEXEC, 3); err != nil {
			return err
		}
	}
	if a.path == "/" {
		b.root = m.fd
		return unix.MoveMount(m.fd, "", b.scratch, "root", unix.MOVE_MOUNT_F_EMPTY_PATH)
	}
	if p := b.areaOf(filepath.Dir(a.path)); p.own != "" {
		if err := makeDirs(b.root, a.path); err != nil {
			return err
		}
	}
	return m.attach(b.root, a.path)
}

var errNotShown = errors.New("not a file system that holds files")

func (b *builder) areaMount(a *area) (detached, error) {
	switch {
	case a.own != "":
		return b.inScratch(a.own, sealed)
	case a.empty:
		return detached{-1}, errNotShown
	case a.file:
		return cloneTree(a.lower, unix.MountAttr{Attr_set: sealed | readOnly})
	}
	layers := byFD(b.scratch) + "/" + a.layer
	if a.lower >= 0 {
		layers += ":" + byFD(a.lower)
	}
	options := []string{"lowerdir=" + layers}
	attributes := sealed | readOnly
	if a.home {
		attributes = sealed
		options = append(options, "upperdir="+byFD(b.scratch)+"/upper", "workdir="+byFD(b.scratch)+"/work", "redirect_dir=on")
	}
	return newMount("overlay", attributes, options...)
}

// sealEmpty makes the areas that are not shown read-only, once the mount points
// in them are made.
func (b *builder) sealEmpty() error {
	for _, a := range b.areas {
		if a.mount < 0 {
			continue
		}
		attr := unix.MountAttr{Attr_set: readOnly}
		if err := unix.MountSetattr(a.mount, "", unix.AT_EMPTY_PATH, &attr); err != nil {
			return fmt.Errorf("%s: make it read-only: %w", a.path, err)
		}
		if err := unix.Close(a.mount); err != nil {
			return err
		}
		a.mount = -1
	}
	return nil
}
