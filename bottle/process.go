package bottle

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// identify returns the name for ever of the process that has the number now.
func identify(pid int) (process, error) {
	start, err := startTime(pid)
	return process{PID: pid, Start: start}, err
}

// alive reports whether the process still is the one that was named.
func (p process) alive() bool {
	if p.PID <= 0 {
		return false
	}
	start, err := startTime(p.PID)
	return err == nil && start == p.Start
}

// startTime reads field 22 of /proc/PID/stat (proc_pid_stat(5)). The second field
// is the program's name in parentheses and may hold anything, so the fields are
// counted from its last closing one.
func startTime(pid int) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, ok := bytes.Cut(text, []byte("("))
	end := bytes.LastIndexByte(rest, ')')
	if !ok || end < 0 {
		return 0, fmt.Errorf("/proc/%d/stat: no program name in it", pid)
	}
	fields := bytes.Fields(rest[end+1:])
	const startField = 22 - 3 // the first field after the name is the third
	if len(fields) <= startField {
		return 0, fmt.Errorf("/proc/%d/stat: %d fields after the name", pid, len(fields))
	}
	return strconv.ParseUint(string(fields[startField]), 10, 64)
}
