package cli

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"bottled/routes"
)

// unixSockets is where the kernel lists the Unix sockets of this network namespace
// (unix(7)).
const unixSockets = "/proc/net/unix"

// maxShared bounds the sockets that are told about.
const maxShared = 5

// noteShared tells what no wall is around: a bottle shares the directories that it can
// write to with the host, sockets of the host's programs in them included, and what is
// hidden there is so only as long as the host leaves it alone.
func (a *App) noteShared(dir, home string, s routes.Settings) {
	shared := []string{dir}
	for _, w := range s.Writable {
		shared = append(shared, expandHome(w, home))
	}
	list, err := os.ReadFile(unixSockets)
	if err != nil {
		list = nil // nothing to tell; the walls do not depend on it
	}
	found := socketsIn(string(list), shared)
	for i, path := range found {
		if i == maxShared {
			fmt.Fprintf(a.Stderr, "bottled: note: and %d more sockets\n", len(found)-i)
			break
		}
		fmt.Fprintf(a.Stderr, "bottled: note: a program of this host has the socket %q, which the bottle can connect to: keep sockets out of what it can write to\n", path)
	}
	for _, h := range s.Hidden {
		path := expandHome(h, home)
		if !inAny(path, shared) {
			continue
		}
		info, err := os.Lstat(path)
		switch {
		case err == nil && info.IsDir():
		case os.IsNotExist(err):
			fmt.Fprintf(a.Stderr, "bottled: note: %q is hidden and not there: should a program of this host make it, the bottle sees it\n", path)
		default:
			fmt.Fprintf(a.Stderr, "bottled: note: %q is hidden until a program of this host replaces it, as editors do: what the bottle must not read belongs outside of what it can write to\n", path)
		}
	}
}

// socketsIn returns the paths in a list as /proc/net/unix has it that are in one of the
// directories and have a socket's file still, each once.
func socketsIn(list string, dirs []string) []string {
	var found []string
	seen := make(map[string]bool)
	for line := range strings.Lines(list) {
		// Num: RefCount Protocol Flags Type St Inode Path; the path is last and may hold blanks.
		_, path, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " /")
		path = "/" + path
		if !ok || seen[path] || !inAny(path, dirs) {
			continue
		}
		seen[path] = true
		if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
			found = append(found, path)
		}
	}
	return found
}

func inAny(path string, dirs []string) bool {
	for _, d := range dirs {
		if rest, ok := strings.CutPrefix(filepath.Clean(path), filepath.Clean(d)); ok && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return false
}

// expandHome is a path of a manifest as the daemon will read it.
func expandHome(path, home string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		return filepath.Join(home, rest)
	}
	return path
}
