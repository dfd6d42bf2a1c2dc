package bottle

import (
	"errors"
	"fmt"

	"bottled/launch"
)

// launchError gives the refusals of a launch their kind: a command that could not
// be executed is the caller's matter, and a shell tells the two ways apart.
func launchError(err error) error {
	var command *launch.CommandError
	if !errors.As(err, &command) {
		return err
	}
	if command.ExitStatus() == 127 {
		return fmt.Errorf("%w: %w", ErrNoCommand, err)
	}
	return fmt.Errorf("%w: %w", ErrNotExecutable, err)
}
