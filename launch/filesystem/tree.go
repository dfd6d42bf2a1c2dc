package filesystem

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bottled/launch/identity"
	"bottled/launch/step"

	"golang.org/x/sys/unix"
)

// A Tree is what a bottle is to see. All paths are absolute. The zero value
// builds nothing: a tree has a user, and Steps refuses root.
type Tree struct {
	User     identity.Identity
	UserName string            // for a line in /etc/passwd where the host has none; "bottle" when empty
	Home     string            // made empty when the host has none there; required
	Dir      string            // bound read-write; empty or the home itself: nothing is bound
	MapDir   bool              // bind Dir by the idmapping of Steps' userns, opened as root
	Writable []string          // more of the host's paths to bind read-write
	Hidden   []string          // not to be seen, beside the table of Credentials
	Files    map[string]Packed // laid over the host's tree
	Scratch  uint64            // bytes of all scratch space together; 0 means a quarter of the memory
}

// The directories that a bottle never shares with the host.
var own = []string{"/tmp", "/var/tmp", "/run", "/dev", "/proc", "/sys"}

// builder is the state between the steps.
type builder struct {
	Tree
	userns  int      // for MapDir, else -1
	packed  int      // descriptor of the contents of Files
	data    []byte   // those contents
	homes   []string // in which credentials are hidden, resolved; the bottle's own first
	mounts  []hostMount
	binds   []bind
	areas   []*area
	hidden  []string // resolved
	files   map[string]File
	scratch int // directory descriptor of the scratch tmpfs
	root    int // of the bottle's tree
}

// Steps returns what builds the tree and makes it the root of the process, in
// order. userns is the user namespace by whose mapping Dir is bound when MapDir
// is set, and ignored otherwise; contents is what [Pack] returned with Files. The steps
// share state: use each result once.
func (t Tree) Steps(userns, contents int) []step.Step {
	b := &builder{Tree: t, userns: userns, packed: contents, scratch: -1, root: -1}
	return []step.Step{
		step.New("open what the bottle may write to", b.openBinds),
		step.New("separate the mounts from the host", func() error {
			return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}),
		step.New("survey the host's mounts", b.survey),
		step.New("make scratch space", b.makeScratch),
		step.New("lay the bottle's own files", b.layFiles),
		step.New("mount the host's files read-only", b.mountAreas),
		step.New("set up /dev", b.setUpDev),
		step.New("set up /proc", b.setUpProc),
		step.New("set up /sys", b.setUpSys),
		step.New("mount what the bottle may write to", b.mountBinds),
		step.New("leave the host's file system", b.pivot),
	}
}

// makeScratch mounts the one tmpfs. It lies on /tmp of the private mount
// namespace, which every host has and no bottle sees.
func (b *builder) makeScratch() error {
	size := "size=25%"
	if b.Scratch > 0 {
		size = fmt.Sprintf("size=%d", b.Scratch)
	}
	m, err := newMount("tmpfs", sealed, size, "mode=0755")
	if err != nil {
		return err
	}
	if err := unix.MoveMount(m.fd, "", unix.AT_FDCWD, "/tmp", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_SYMLINKS); err != nil {
		return fmt.Errorf("mount on /tmp: %w", err)
	}
	b.scratch = m.fd
	for _, d := range []struct {
		name string
		mode uint32
	}{
		{"layers", 0o755}, {"root", 0o755}, {"upper", 0o700}, {"work", 0o700},
		{"tmp", 0o1777}, {"var-tmp", 0o1777}, {"shm", 0o1777}, {"run", 0o755}, {"empty", 0o755},
	} {
		if err := unix.Mkdirat(b.scratch, d.name, d.mode); err != nil {
			return err
		}
		if err := unix.Fchmodat(b.scratch, d.name, d.mode, 0); err != nil { // past the umask
			return err
		}
	}
	mask, err := unix.Openat(b.scratch, "mask", unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o444)
	if err != nil {
		return err
	}
	return unix.Close(mask)
}

// inScratch clones a directory or file of the scratch space as a mount.
func (b *builder) inScratch(name string, attributes uint64) (detached, error) {
	fd, err := unix.Openat(b.scratch, name, unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return detached{-1}, err
	}
	defer unix.Close(fd)
	return cloneTree(fd, unix.MountAttr{Attr_set: attributes})
}

// pivot makes the tree the root of the process and takes the host's away.
func (b *builder) pivot() error {
	if err := unix.Fchdir(b.root); err != nil {
		return err
	}
	// Both arguments the same: the old root ends up on top of the new one and is
	// taken off from there, without a directory to put it (pivot_root(2)).
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach the host's root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	for _, fd := range b.descriptors() {
		unix.Close(fd)
	}
	return nil
}

func (b *builder) descriptors() []int {
	fds := []int{b.scratch, b.root}
	for _, a := range b.areas {
		fds = append(fds, a.lower)
	}
	for _, d := range b.binds {
		fds = append(fds, d.fd)
	}
	return slices.DeleteFunc(fds, func(fd int) bool { return fd < 0 })
}

// resolve returns path with the symbolic links of the host in all but its last
// component followed, as far as the host has it. Below a directory that the
// bottle has for itself, the host's links mean nothing.
func resolve(path string) string {
	path = filepath.Clean(path)
	dir, tail := filepath.Dir(path), filepath.Base(path)
	for dir != "/" && !slices.ContainsFunc(own, func(o string) bool { return within(dir, o) }) {
		real, err := filepath.EvalSymlinks(dir)
		if err == nil {
			dir = real
			break
		}
		if !os.IsNotExist(err) {
			break
		}
		dir, tail = filepath.Dir(dir), filepath.Join(filepath.Base(dir), tail)
	}
	return filepath.Join(dir, tail)
}

// ownPath reports whether path lies in a directory that the bottle has for itself.
func ownPath(path string) bool {
	return slices.ContainsFunc(own, func(o string) bool { return within(path, o) })
}

func checkAbsolute(what, path string) error {
	if !filepath.IsAbs(path) || strings.ContainsRune(path, 0) {
		return fmt.Errorf("%s %q is not an absolute path", what, path)
	}
	return nil
}
