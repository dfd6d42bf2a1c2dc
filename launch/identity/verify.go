package identity

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Verify reads back what Drop did, for every thread of the process. It returns
// an error that names the first field with another value than it must have.
func Verify(id Identity) error {
	if bits, err := unix.PrctlRetInt(unix.PR_GET_SECUREBITS, 0, 0, 0, 0); err != nil || bits != lockedSecurebits {
		return fmt.Errorf("securebits are %#x, not %#x (%v)", bits, lockedSecurebits, err)
	}
	if d, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || d != 0 {
		return fmt.Errorf("the process is dumpable: %d (%v)", d, err)
	}
	return eachThread(func(status map[string]string) error { return compare(status, id) })
}

// VerifyFiltered checks that every thread of the process runs under a seccomp filter.
func VerifyFiltered() error {
	return eachThread(func(status map[string]string) error {
		return want(status, "Seccomp", "2") // SECCOMP_MODE_FILTER
	})
}

func eachThread(check func(map[string]string) error) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		raw, err := os.ReadFile("/proc/self/task/" + task.Name() + "/status")
		if err != nil {
			return err
		}
		if err := check(parseStatus(raw)); err != nil {
			return fmt.Errorf("thread %s: %w", task.Name(), err)
		}
	}
	if len(tasks) == 0 {
		return fmt.Errorf("/proc/self/task lists no thread")
	}
	return nil
}

func parseStatus(raw []byte) map[string]string {
	status := map[string]string{}
	for line := range bytes.Lines(raw) {
		if key, value, ok := strings.Cut(string(line), ":"); ok {
			status[key] = strings.Join(strings.Fields(value), " ")
		}
	}
	return status
}

// compare holds one thread's status against id. A field that is missing is an
// error like one that is wrong.
func compare(status map[string]string, id Identity) error {
	four := func(n uint32) string { // real, effective, saved, file system
		s := strconv.FormatUint(uint64(n), 10)
		return strings.Join([]string{s, s, s, s}, " ")
	}
	groups := slices.Clone(id.Groups)
	slices.Sort(groups)
	var list []string
	for _, g := range groups {
		list = append(list, strconv.FormatUint(uint64(g), 10))
	}
	const none = "0000000000000000"
	for _, f := range [][2]string{
		{"Uid", four(id.UID)}, {"Gid", four(id.GID)}, {"Groups", strings.Join(list, " ")},
		{"CapInh", none}, {"CapPrm", none}, {"CapEff", none}, {"CapBnd", none}, {"CapAmb", none},
		{"NoNewPrivs", "1"},
	} {
		if err := want(status, f[0], f[1]); err != nil {
			return err
		}
	}
	return nil
}

func want(status map[string]string, key, value string) error {
	if got, ok := status[key]; !ok || got != value {
		return fmt.Errorf("%s is %q, not %q", key, got, value)
	}
	return nil
}
