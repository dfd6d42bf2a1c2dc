package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	ownGroup    = "bottled" // below the root, where nobody delegated a group
	daemonGroup = "daemon"  // the daemon's leaf in a delegated group
)

// Base returns the directory below which the groups of bottles are made, and makes it.
//
// Under a service with Delegate=yes that is the service's own group. The processes in
// it, this one included, are moved into a leaf of it, since a group with processes
// cannot hand controllers down (Documentation/admin-guide/cgroup-v2.rst, "No Internal
// Process Constraint"). Elsewhere it is the group "bottled" at the root of the cgroup2
// file system, which is at /sys/fs/cgroup or, on a hybrid host, below it.
func Base() (string, error) {
	mount, err := mountPoint("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", fmt.Errorf("find the cgroup of this process: %w", err)
	}
	if base, ok := delegated(mount, string(data)); ok {
		return base, leave(base)
	}
	base := filepath.Join(mount, ownGroup)
	if err := os.MkdirAll(base, 0o755); err != nil {
		return "", fmt.Errorf("make the cgroup of all bottles: %w: under systemd, give the service Delegate=yes and no ProtectControlGroups=", err)
	}
	return base, nil
}

// mountPoint finds the cgroup2 file system (proc_pid_mountinfo(5)).
func mountPoint(mountinfo string) (string, error) {
	data, err := os.ReadFile(mountinfo)
	if err != nil {
		return "", fmt.Errorf("find the cgroup2 file system: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		before, after, _ := strings.Cut(line, " - ")
		place, kind := strings.Fields(before), strings.Fields(after)
		if len(place) >= 5 && len(kind) >= 1 && kind[0] == "cgroup2" {
			return unescape(place[4]), nil
		}
	}
	return "", errors.New("find the cgroup2 file system: none is mounted: mount -t cgroup2 none /sys/fs/cgroup/unified, or boot with systemd.unified_cgroup_hierarchy=1")
}

// unescape undoes the octal escapes of mountinfo.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// delegated returns the group that systemd handed over, if it did: the group of this
// process, or the one above it when the process is in a leaf already.
func delegated(mount, selfCgroup string) (string, bool) {
	for line := range strings.Lines(selfCgroup) {
		own, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok || own == "/" {
			continue
		}
		for _, dir := range []string{filepath.Join(mount, own), filepath.Join(mount, filepath.Dir(own))} {
			if handedOver(dir) {
				return dir, true
			}
		}
	}
	return "", false
}

// handedOver looks for the mark that systemd sets (systemd.resource-control(5), Delegate=).
func handedOver(dir string) bool {
	for _, mark := range []string{"trusted.delegate", "user.delegate"} {
		var value [1]byte
		if n, err := unix.Getxattr(dir, mark, value[:]); err == nil && n == 1 && value[0] == '1' {
			return true
		}
	}
	return false
}

// leave moves the processes that are in base itself into its leaf.
func leave(base string) error {
	for {
		data, err := os.ReadFile(filepath.Join(base, "cgroup.procs"))
		if err != nil {
			return fmt.Errorf("leave the service's cgroup: %w", err)
		}
		pids := strings.Fields(string(data))
		if len(pids) == 0 {
			return nil
		}
		leaf := filepath.Join(base, daemonGroup)
		if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("leave the service's cgroup: %w", err)
		}
		for _, pid := range pids {
			err := os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte(pid), 0)
			if err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("leave the service's cgroup: process %s: %w", pid, err)
			}
		}
	}
}
