package bottle

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// instance is one daemon's place in the run directory: "host" for the service,
// another name for a daemon that serves one bottle. Its lock is held for as long
// as the daemon lives, and says to everybody else whether what lies there is in use.
type instance struct {
	dir  string
	lock *os.File
}

// NewInstance makes up a name for a daemon that serves one bottle.
func NewInstance() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return selfPrefix + hex.EncodeToString(b[:])
}

// selfPrefix begins the names of instances that serve one bottle.
const selfPrefix = "self-"

// errInUse is a folder of a living daemon.
var errInUse = errors.New("another bottled is running")

// openInstance makes the folder and takes its lock.
func openInstance(run, name string) (*instance, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	dir := filepath.Join(run, name)
	// Not below 0711: bottles' own folders are closed, their parents may be passed.
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if err := ownedByRoot(dir); err != nil {
		return nil, err
	}
	lock, err := tryLock(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "bottles"), 0o700); err != nil {
		lock.Close()
		return nil, fmt.Errorf("state directory: %w", err)
	}
	return &instance{dir: dir, lock: lock}, nil
}

// placeOf is where the bottles of a run directory are among all cgroups and pins:
// at the top for the default one, else in a folder of its own. The locks that tell
// the living from the dead lie in the run directory, so a daemon must not come upon
// what belongs to another one.
func placeOf(run string) (string, error) {
	if filepath.Clean(run) == DefaultRun {
		return "", nil
	}
	real, err := filepath.EvalSymlinks(run)
	if err != nil {
		return "", fmt.Errorf("state directory: %w", err)
	}
	sum := sha256.Sum256([]byte(real))
	return "run-" + hex.EncodeToString(sum[:8]), nil
}

// removeEmpty removes a directory unless somebody still has something in it.
func removeEmpty(dir string) error {
	err := os.Remove(dir)
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EBUSY) {
		return nil
	}
	return ignoreMissing(err)
}

// tryLock takes the lock of an instance's folder, or returns [errInUse].
func tryLock(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%q: %w", dir, errInUse)
		}
		return nil, fmt.Errorf("lock %q: %w", dir, err)
	}
	return lock, nil
}

// ownedByRoot refuses a state directory that somebody else made or may write to.
func ownedByRoot(dir string) error {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return fmt.Errorf("state directory %q: %w", dir, err)
	}
	if st.Uid != 0 || st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Mode&0o022 != 0 {
		return fmt.Errorf("state directory %q: must be a directory that root owns and nobody else may write to", dir)
	}
	return nil
}

// close gives the lock up.
func (i *instance) close() { i.lock.Close() }
