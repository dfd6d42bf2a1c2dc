package bottle

import (
	"errors"
	"fmt"

	"bottled/launch"
	"bottled/launch/filesystem"
)

// launchError gives the refusals of a launch their kind: a path that cannot be had and a
// command that could not be executed are the caller's matter, and a shell tells the two
// ways of the latter apart.
func launchError(err error) error {
	var command *launch.CommandError
	switch {
	case errors.Is(err, filesystem.ErrPath):
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	case !errors.As(err, &command):
		return err
	case command.ExitStatus() == 127:
		return fmt.Errorf("%w: %w", ErrNoCommand, err)
	}
	return fmt.Errorf("%w: %w", ErrNotExecutable, err)
}
