package launch

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"bottled/launch/filesystem"
	"bottled/launch/identity"
	"bottled/launch/inside"
)

// Spec is a bottle and the command in it. The zero value is refused.
type Spec struct {
	Hostname string   // letters, digits, '-', '.', at most 64; "bottle" when empty
	UID, GID uint32   // of the host; never 0
	Groups   []uint32 // supplementary; never 0
	User     string   // the name for the UID where the host has none; "bottle" when empty
	Home     string   // absolute; shown with scratch space over it, made when missing

	// Dir is where the command starts, and is the host's own directory, writable.
	// When it is empty or the home itself, the command starts in the home, whose changes
	// are gone with the bottle. System directories are refused.
	Dir string
	// MapDir gives the bottle's user the rights of Dir's owner in it. For a root
	// caller only, whose bottles run as a user who owns nothing.
	MapDir bool

	Argv []string // found as execvp(3) does, by the PATH in Env
	Env  []string // the whole environment, "KEY=value"

	Writable       []string        // more of the host's paths, bound read-write
	Hidden         []string        // not to be seen, beside filesystem.Credentials
	Files          map[string]File // laid over the host's tree, by absolute path
	Scratch        uint64          // bytes of scratch space, home and /tmp included; 0: a quarter of the memory
	UserNamespaces bool            // for programs that bring their own sandbox
	Terminal       bool            // the command gets a terminal; needs a console, and no stdio
}

// File is laid over the host's tree.
type File = filesystem.File

// ExecSpec is one more command in a running bottle.
type ExecSpec struct {
	UID, GID       uint32
	Groups         []uint32
	Dir            string // in the bottle; "/" when empty
	Argv, Env      []string
	UserNamespaces bool // as the bottle's Spec has it
	Terminal       bool
}

var hostname = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?$`) })

// plan checks the spec and turns it into what the first process does, but for the
// files, which are to be packed.
func (s Spec) plan() (inside.Plan, error) {
	id := identity.Identity{UID: s.UID, GID: s.GID, Groups: s.Groups}
	p, err := ExecSpec{
		UID: s.UID, GID: s.GID, Groups: s.Groups, Dir: s.Dir, Argv: s.Argv, Env: s.Env,
		UserNamespaces: s.UserNamespaces, Terminal: s.Terminal,
	}.plan()
	if err != nil {
		return p, err
	}
	p.Join = false
	if p.Hostname = s.Hostname; p.Hostname == "" {
		p.Hostname = "bottle"
	}
	if !hostname().MatchString(p.Hostname) {
		return p, fmt.Errorf("%q is not a host name: letters, digits, '-' and '.', at most 64", s.Hostname)
	}
	paths := slices.Concat([]string{s.Home}, s.Writable, s.Hidden, slices.Collect(maps.Keys(s.Files)))
	for _, path := range paths {
		if err := checkPath(path); err != nil {
			return p, err
		}
	}
	if s.MapDir && s.Dir == "" {
		return p, errors.New("a working directory is to be mapped, but there is none")
	}
	p.Dir = s.Dir
	if p.Dir == "" {
		p.Dir = s.Home
	}
	p.Tree = filesystem.Tree{
		User: id, UserName: s.User, Home: s.Home, Dir: s.Dir, MapDir: s.MapDir,
		Writable: s.Writable, Hidden: s.Hidden, Scratch: s.Scratch,
	}
	return p, nil
}

func (s ExecSpec) plan() (inside.Plan, error) {
	id := identity.Identity{UID: s.UID, GID: s.GID, Groups: s.Groups}
	p := inside.Plan{
		Join: true, User: id, Dir: s.Dir, Argv: s.Argv, Env: s.Env,
		Terminal: s.Terminal, UserNamespaces: s.UserNamespaces,
	}
	if err := id.Check(); err != nil {
		return p, err
	}
	if len(s.Argv) == 0 {
		return p, errors.New("there is no command to run")
	}
	for _, a := range s.Argv {
		if strings.ContainsRune(a, 0) {
			return p, fmt.Errorf("argument %q holds a NUL byte", a)
		}
	}
	for _, e := range s.Env {
		if key, _, ok := strings.Cut(e, "="); !ok || key == "" || strings.ContainsRune(e, 0) {
			return p, fmt.Errorf("%q is no environment variable: want KEY=value", key)
		}
	}
	if p.Dir == "" {
		p.Dir = "/"
	}
	return p, checkPath(p.Dir)
}

func checkPath(path string) error {
	if !filepath.IsAbs(path) || strings.ContainsRune(path, 0) {
		return fmt.Errorf("%q is not an absolute path", path)
	}
	return nil
}
