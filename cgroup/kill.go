package cgroup

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Kill ends every process in the group and below it with SIGKILL, waits until none is
// left and returns nil, or an error when ctx is done before. A group that is empty or
// gone is no error. Nothing can run in the group afterwards.
func (g *Group) Kill(ctx context.Context) error {
	err := os.WriteFile(filepath.Join(g.path, "cgroup.kill"), []byte("1"), 0)
	switch {
	case err == nil:
		err = g.waitEmpty(ctx)
	case errors.Is(err, fs.ErrNotExist):
		// Gone, or a kernel before 5.14.
		err = g.killEach(ctx)
	}
	if err != nil {
		return fmt.Errorf("kill cgroup %q: %w", g.path, err)
	}
	return nil
}

// killEach kills by number until nothing is left: what forks meanwhile is met in the
// next round, and freezing keeps it from forking faster than it is killed.
func (g *Group) killEach(ctx context.Context) error {
	if _, err := os.Stat(g.path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.WriteFile(filepath.Join(g.path, "cgroup.freeze"), []byte("1"), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for {
		pids, err := g.Processes()
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d processes are left: %w", len(pids), ctx.Err())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// Processes returns the numbers of the processes in the group and below it.
func (g *Group) Processes() ([]int, error) {
	var pids []int
	err := walk(g.path, func(dir string) error {
		data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil {
			return ignoreGone(err)
		}
		for line := range strings.Lines(string(data)) {
			pid, err := strconv.Atoi(strings.TrimSpace(line))
			if err != nil {
				return fmt.Errorf("%s/cgroup.procs: %w", dir, err)
			}
			if pid > 0 { // 0: of another pid namespace
				pids = append(pids, pid)
			}
		}
		return nil
	})
	return pids, err
}

// populated says whether a process is in the group or below it. A group that is gone
// has none.
func (g *Group) populated() (bool, error) {
	data, err := os.ReadFile(filepath.Join(g.path, "cgroup.events"))
	if err != nil {
		return false, ignoreGone(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "populated "); ok {
			return value != "0", nil
		}
	}
	return true, fmt.Errorf("%s/cgroup.events says nothing of processes", g.path)
}

// waitEmpty waits until no process is in the group or below it, or until ctx is done.
func (g *Group) waitEmpty(ctx context.Context) error {
	events, err := os.Open(filepath.Join(g.path, "cgroup.events"))
	if err != nil {
		return ignoreGone(err)
	}
	defer events.Close()
	for {
		populated, err := g.populated()
		if err != nil || !populated {
			return err
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("processes are left: %w", err)
		}
		// The kernel wakes a poll for POLLPRI when the file changes. The timeout is
		// for ctx, which poll does not know.
		changed := []unix.PollFd{{Fd: int32(events.Fd()), Events: unix.POLLPRI}}
		if _, err := unix.Poll(changed, 20); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// ignoreGone drops the errors that say that the group does not exist any more.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}
