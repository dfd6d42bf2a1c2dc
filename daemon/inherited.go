package daemon

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// keepToSelf has no program that the daemon starts inherit what the daemon did, from a
// shell or from a service manager: an enforcer must hold nothing of the host's that it
// was not given, and execve(2) keeps every descriptor without this flag.
func keepToSelf() error {
	if err := unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("mark inherited descriptors: %w", err)
	}
	return nil
}
