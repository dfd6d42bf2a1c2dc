package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// processors says who runs where: what is in the middle on one, the rest on the others.
// With a single processor they share it.
type processors struct{ middle, ends unix.CPUSet }

func newProcessors() (p processors, err error) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return p, err
	}
	p.ends = all
	for cpu := range len(all) * 64 {
		if all.IsSet(cpu) {
			p.middle.Set(cpu)
			break
		}
	}
	if all.Count() > 1 {
		for cpu := range len(all) * 64 {
			if p.middle.IsSet(cpu) {
				p.ends.Clear(cpu)
			}
		}
	}
	return p, nil
}

// alone reports whether the middle has a processor to itself.
func (p processors) alone() bool { return p.middle != p.ends }

// pin puts every thread of a process on set. Threads that it starts later inherit that.
func pin(pid int, set unix.CPUSet) error {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil {
		return err
	}
	for _, dir := range threads {
		tid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(tid, &set); err != nil && err != unix.ESRCH {
			return fmt.Errorf("sched_setaffinity: %w", err)
		}
	}
	return nil
}

// used is the processor time of a process since it began (clock_getcpuclockid(3)).
func used(pid int) (time.Duration, error) {
	const schedClock = 2 // CPUCLOCK_SCHED: nanoseconds of the whole process
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &t); err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}
