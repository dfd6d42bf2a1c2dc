package filesystem

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"bottled/launch/identity"
)

// CheckEntry says whether id may enter the working directory dir, and each directory
// above it that is the host's own in the bottle too; its error is a [*PathError].
// With mapped, dir itself will be id's by its mount. It may hang where a file server
// does: for a user who is not root it is called by a process that can be killed.
func CheckEntry(dir string, id identity.Identity, mapped bool) error {
	if err := passable(dir, id, mapped); err != nil {
		return DirError(dir, err)
	}
	return nil
}

func passable(dir string, id identity.Identity, mapped bool) error {
	var way []string
	if !mapped {
		way = append(way, dir)
	}
	for above := filepath.Dir(dir); ; above = filepath.Dir(above) {
		// Opened as root, it is bound into directories of the bottle's own.
		if !mapped || !ownPath(above) {
			way = append(way, above)
		}
		if above == "/" {
			break
		}
	}
	return identity.As(id, func() error {
		for i := len(way) - 1; i >= 0; i-- { // from the root: what is below a closed one says nothing
			err := unix.Faccessat(unix.AT_FDCWD, way[i], unix.X_OK, unix.AT_EACCESS)
			switch {
			case errors.Is(err, unix.EACCES):
				return fmt.Errorf("%q is closed to the bottle's user (uid %d): run from a directory that this user may pass, or open the way (chmod o+x %[1]q)", way[i], id.UID)
			case err != nil:
				return fmt.Errorf("%q: %w", way[i], err)
			}
		}
		return nil
	})
}
