package filesystem

import (
	"errors"
	"fmt"
)

// ErrPath is the kind of error that is the caller's matter: a path that was asked for is
// not there, not open to the user, or not for bottles.
var ErrPath = errors.New("a path that was asked for cannot be had")

// workingDirectory is what Dir is called in a [PathError].
const workingDirectory = "the working directory"

// A PathError is a path that a bottle cannot have; it is an [ErrPath].
type PathError struct {
	What string // "the working directory", or a key of the manifest
	Path string
	Err  error
}

func (e *PathError) Error() string { return fmt.Sprintf("%s %q: %v", e.What, e.Path, e.Err) }

// Unwrap returns why it cannot be had, and the kind.
func (e *PathError) Unwrap() []error { return []error{ErrPath, e.Err} }

// DirError is that of a working directory.
func DirError(dir string, err error) *PathError { return &PathError{workingDirectory, dir, err} }
