package filesystem

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"bottled/launch/identity"
)

// EntryError is a working directory that a bottle's user could not be in.
type EntryError struct {
	Dir    string
	Closed string // the directory, Dir or one above it, that the user may not enter
	UID    uint32
}

func (e *EntryError) Error() string {
	return fmt.Sprintf("the working directory %q cannot be entered by the bottle's user (uid %d), for whom %q is closed: run from a directory that this user may pass, or open the way (chmod o+x %[3]q)", e.Dir, e.UID, e.Closed)
}

// CheckEntry says whether id may enter dir, and each directory above it that is the
// host's own in the bottle too; the error of one that it may not is an [*EntryError].
// With mapped, dir itself will be id's by its mount. It may hang where a file server
// does: for a user who is not root it is called by a process that can be killed.
func CheckEntry(dir string, id identity.Identity, mapped bool) error {
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
				return &EntryError{Dir: dir, Closed: way[i], UID: id.UID}
			case err != nil:
				return fmt.Errorf("the working directory %q: %q: %w", dir, way[i], err)
			}
		}
		return nil
	})
}
