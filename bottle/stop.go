package bottle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// maxGrace bounds how long a stop may leave the command to end by itself.
const maxGrace = 5 * time.Minute

// Stop ends a bottle: SIGTERM to its command, grace to end in, then SIGKILL to all
// of it. It returns when nothing of the bottle is left. To stop what does not exist
// succeeds.
func (m *Manager) Stop(ctx context.Context, c Caller, ref string, grace time.Duration) error {
	if grace < 0 || grace > maxGrace {
		return fmt.Errorf("%w: grace of %v: give 0 to %v", ErrInvalid, grace, maxGrace)
	}
	b, err := m.find(c, ref)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return b.stop(ctx, grace, "stopped")
}

// Signal sends a signal to the command of a bottle, or to one added by Exec.
func (m *Manager) Signal(_ context.Context, c Caller, ref, exec string, s syscall.Signal) error {
	b, err := m.find(c, ref)
	if err != nil {
		return err
	}
	if err := b.running(); err != nil {
		return err
	}
	if s <= 0 || s > 64 {
		return fmt.Errorf("%w: signal %d: there is none of that number", ErrInvalid, s)
	}
	target := b.init.process
	if exec != "" {
		e, err := b.execution(exec)
		if err != nil {
			return err
		}
		target = e.process.process
	}
	if err := target.Signal(s); err != nil && !errors.Is(err, os.ErrClosed) { // closed: it has ended
		return fmt.Errorf("signal bottle %q: %w", b.record.Name, err)
	}
	return nil
}
