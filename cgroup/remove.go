package cgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Remove removes the group at path with all groups below it, which must be empty of
// processes, and waits for those that are still dying until ctx is done. A group that
// is gone is no error.
func Remove(ctx context.Context, path string) error {
	for {
		err := walk(path, func(dir string) error {
			return ignoreGone(unix.Rmdir(dir))
		})
		if err == nil || !errors.Is(err, unix.EBUSY) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("remove cgroup %q: processes are left in it: %w", path, ctx.Err())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// walk calls do for every group below dir and then for dir itself. Groups that vanish
// meanwhile are passed over.
func walk(dir string, do func(dir string) error) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ignoreGone(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := walk(filepath.Join(dir, e.Name()), do); err != nil {
				return err
			}
		}
	}
	return do(dir)
}
