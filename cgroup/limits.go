package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Limits bound what a group and everything below it use. Zero: no bound.
type Limits struct {
	Memory    int64         // bytes, memory.max; nothing is swapped beside it
	Processes int           // threads count, pids.max
	CPU       time.Duration // of running time in each [CPUPeriod], over all cores, cpu.max
}

// ErrNoController says that a limit cannot be set because the host has not given the
// controller to this part of the tree.
var ErrNoController = errors.New("the controller is not there: on a hybrid host it is bound to cgroup v1; under systemd the service needs Delegate=yes")

// CPUPeriod is the period of [Limits.CPU].
const CPUPeriod = 100 * time.Millisecond

// Limit sets the limits and hands the controllers down from base, which [Base] gave.
// A controller that is not there is reported by an error that wraps
// [ErrNoController]; the other limits are set all the same. Where something else went
// wrong, too, the error is only about that.
func (g *Group) Limit(base string, l Limits) error {
	var missing, failed []error
	for _, limit := range []struct{ controller, value string }{
		{"memory", limitValue(l.Memory)},
		{"pids", limitValue(int64(l.Processes))},
		{"cpu", limitValue(l.CPU.Microseconds())},
	} {
		if limit.value == "" {
			continue
		}
		err := g.limit(base, limit.controller, limit.value)
		if err == nil {
			continue
		}
		of := &failed
		if errors.Is(err, ErrNoController) {
			of = &missing
		}
		*of = append(*of, fmt.Errorf("limit %s of cgroup %q: %w", limit.controller, g.path, err))
	}
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	return errors.Join(missing...)
}

func limitValue(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func (g *Group) limit(base, controller, value string) error {
	if err := handDown(base, filepath.Dir(g.path), controller); err != nil {
		return err
	}
	if controller == "cpu" {
		value += " " + strconv.FormatInt(CPUPeriod.Microseconds(), 10)
	}
	file := filepath.Join(g.path, controller+".max")
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return ErrNoController
	}
	if controller == "memory" {
		if err := noSwap(g.path); err != nil {
			return err
		}
	}
	return os.WriteFile(file, []byte(value), 0)
}

// noSwap makes a limit of memory one of memory and swap. A kernel without swap, or that
// does not account for it, has no such file (mm/memcontrol.c, swap_files).
func noSwap(dir string) error {
	file := filepath.Join(dir, "memory.swap.max")
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return os.WriteFile(file, []byte("0"), 0)
}

// handDown enables the controller for the groups below each directory from base to dir.
func handDown(base, dir, controller string) error {
	below, err := filepath.Rel(base, dir)
	if err != nil || below == ".." || strings.HasPrefix(below, "../") {
		return fmt.Errorf("not below %q", base)
	}
	dirs := []string{base}
	for name := range strings.SplitSeq(below, "/") {
		dirs = append(dirs, filepath.Join(dirs[len(dirs)-1], name))
	}
	for _, dir := range dirs {
		data, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
		if err != nil {
			return err
		}
		if !slices.Contains(strings.Fields(string(data)), controller) {
			// The root has every controller; the group below it only what the root
			// hands down. Nobody else's group is touched but the root's, and only added to.
			if dir != base || addController(filepath.Dir(base), controller) != nil {
				return ErrNoController
			}
		}
		if err := addController(dir, controller); err != nil {
			return err
		}
	}
	return nil
}

// addController hands a controller to the groups below dir. The kernel says ENOENT of
// one that dir has not, and EINVAL of one that it was booted without
// (kernel/cgroup/cgroup.c, cgroup_subtree_control_write).
func addController(dir, controller string) error {
	err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EINVAL) {
		return ErrNoController
	}
	return err
}
