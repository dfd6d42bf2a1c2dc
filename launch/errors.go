package launch

import (
	"errors"
	"io"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bottled/launch/filesystem"
)

// A CommandError says that the bottle was there, but the command could not be
// executed in it.
type CommandError struct {
	Message string
	Errno   unix.Errno
}

func (e *CommandError) Error() string { return e.Message }

// Unwrap returns the system's reason.
func (e *CommandError) Unwrap() error { return e.Errno }

// ExitStatus is what a shell would exit with: 127 when there is no such command,
// 126 when there is one that can not be executed.
func (e *CommandError) ExitStatus() int {
	if e.Errno == unix.ENOENT || e.Errno == unix.ENOTDIR {
		return 127
	}
	return 126
}

// A stepError is a step of the child side that failed.
type stepError struct {
	message string
	errno   unix.Errno
	path    bool // it is a filesystem.ErrPath
}

func (e *stepError) Error() string { return e.message }

func (e *stepError) Unwrap() error {
	if e.errno == 0 {
		return nil
	}
	return e.errno
}

// Is makes a path that was refused on the child side the error that it was there.
func (e *stepError) Is(target error) bool { return e.path && target == filesystem.ErrPath }

// past is a deadline that ends a pending read or write.
var past = time.Unix(1, 0)

func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}
