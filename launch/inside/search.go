package inside

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// The search path for an environment without PATH, as in glibc's execvp.
const defaultPath = "/bin:/usr/bin"

// search finds argv[0] as execvp(3) does, in PATH of env and not of this process,
// and calls execute for the first candidate that may be executed. A file without
// an interpreter line is given to /bin/sh. The error holds ENOENT when there is no
// such command, and something else when there is one that can not be executed.
func search(argv, env []string, execute func(path string, argv []string) error) error {
	name, failure := argv[0], error(unix.ENOENT)
	for _, path := range candidates(name, env) {
		err := unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, 0)
		if err == nil {
			err = executable(path)
		}
		if err == nil {
			err = execute(path, argv)
			if errors.Is(err, unix.ENOEXEC) {
				err = execute("/bin/sh", append([]string{"/bin/sh", path}, argv[1:]...))
			}
			if err == nil {
				return nil
			}
			failure = err
			break
		}
		if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) && (path == name || found(path)) {
			failure = err // found, but not for us; another directory may have a better one
		}
	}
	return fmt.Errorf("%q: %w", name, failure)
}

// found tells a file that may not be executed from a directory of the PATH that may
// not be looked into, such as one of root's, where no shell finds anything either.
func found(path string) bool {
	var st unix.Stat_t
	return unix.Stat(path, &st) == nil
}

func executable(path string) error {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return unix.EACCES
	}
	return nil
}

func candidates(name string, env []string) []string {
	if name == "" {
		return nil
	}
	if strings.Contains(name, "/") {
		return []string{name}
	}
	path := defaultPath
	for _, e := range env {
		if value, ok := strings.CutPrefix(e, "PATH="); ok {
			path = value
		}
	}
	var list []string
	for _, dir := range filepath.SplitList(path) {
		list = append(list, "./"+name)
		if dir != "" {
			list[len(list)-1] = filepath.Join(dir, name)
		}
	}
	return list
}
