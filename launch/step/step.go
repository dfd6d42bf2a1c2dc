// Package step runs the changes that make a process the first one of a bottle,
// in order, and says of each failure which change it was.
package step

import (
	"errors"
	"fmt"
)

// A Step is one change. Name completes the sentence "cannot …".
type Step struct {
	Name string
	Do   func() error
}

// New returns the step that do takes, named name.
func New(name string, do func() error) Step { return Step{Name: name, Do: do} }

// An Error is a step that failed. Nothing after it was done.
type Error struct {
	Name string
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("cannot %s: %v", e.Name, e.Err) }

// Unwrap returns why the step failed.
func (e *Error) Unwrap() error { return e.Err }

// ErrInjected is the failure of a step that a test chose.
var ErrInjected = errors.New("fault injected by a test")

// Run does the steps one after the other and stops at the first error, which is
// an [*Error]. The step with the number fault, counted from 1, fails with
// [ErrInjected] instead of being done; 0 injects nothing.
func Run(steps []Step, fault int) error {
	for i, s := range steps {
		err := ErrInjected
		if i+1 != fault {
			err = s.Do()
		}
		if err != nil {
			return &Error{Name: s.Name, Err: err}
		}
	}
	return nil
}
