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

// maxShared bounds the sockets that are told of.
const maxShared = 5

// noteShared tells what no wall is around: a bottle shares the directories that it can
// write to with the host. The home, as working directory, is not shared (package launch).
func (a *App) noteShared(dir, home, manifest string, s routes.Settings) {
	var shared []string
	if filepath.Clean(dir) != filepath.Clean(home) {
		shared = append(shared, dir)
	}
	for _, w := range s.Writable {
		shared = append(shared, expandHome(w, home))
	}
	a.noteManifest(dir, manifest, shared)
	a.noteSockets(shared)
	for _, h := range s.Hidden {
		if path := expandHome(h, home); inAny(path, shared) {
			a.noteHidden(path)
		}
	}
}

func (a *App) note(format string, args ...any) {
	fmt.Fprintf(a.Stderr, "bottled: note: "+format+"\n", args...)
}

// noteManifest tells people who expect a manifest to be found, and those who let a bottle
// write the next one.
func (a *App) noteManifest(dir, manifest string, shared []string) {
	if manifest == "" {
		if _, err := os.Stat(filepath.Join(dir, "bottled.yaml")); err == nil {
			a.note("bottled.yaml is not used unless --manifest names it, because the bottle can write it")
		}
		return
	}
	path, err := filepath.Abs(manifest)
	if err == nil && inAny(path, shared) {
		a.note("the bottle can write to its manifest %q, which the next run would go by: keep it outside of what a bottle can write to", path)
	}
}

// noteSockets tells of sockets of the host's programs, which a bottle can connect to.
func (a *App) noteSockets(shared []string) {
	list, err := os.ReadFile(unixSockets)
	if err != nil {
		return // nothing to tell; the walls do not depend on it
	}
	found := socketsIn(string(list), shared)
	for i, path := range found {
		if i == maxShared {
			a.note("and %d more sockets", len(found)-i)
			return
		}
		a.note("a program of this host has the socket %q, which the bottle can connect to: keep sockets out of what it can write to", path)
	}
}

// noteHidden tells that a path is hidden only as long as the host leaves it alone; a
// directory, which hardly anything replaces, holds.
func (a *App) noteHidden(path string) {
	info, err := os.Lstat(path)
	switch {
	case err == nil && info.IsDir():
	case os.IsNotExist(err):
		a.note("%q is hidden and not there: should a program of this host make it, the bottle sees it", path)
	default:
		a.note("%q is hidden until a program of this host replaces it, as editors do: what the bottle must not read belongs outside of what it can write to", path)
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
