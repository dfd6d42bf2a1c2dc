package filesystem

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// device is a node of /dev. The list is that of the OCI runtime specification.
var devices = []struct {
	name         string
	major, minor uint32
}{
	{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
}

var deviceLinks = map[string]string{
	"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	"ptmx": "pts/ptmx",
}

func (b *builder) setUpDev() error {
	m, err := newMount("tmpfs", unix.MOUNT_ATTR_NOSUID|noExec, "size=64k", "mode=0755")
	if err != nil {
		return err
	}
	fd := m.fd
	for _, d := range devices {
		if err := unix.Mknodat(fd, d.name, unix.S_IFCHR|0o666, int(unix.Mkdev(d.major, d.minor))); err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
		if err := unix.Fchmodat(fd, d.name, 0o666, 0); err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
	}
	for name, target := range deviceLinks {
		if err := unix.Symlinkat(target, fd, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, name := range []string{"pts", "shm"} {
		if err := unix.Mkdirat(fd, name, 0o755); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	attr := unix.MountAttr{Attr_set: readOnly} // the nodes work, nothing can be added
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		return err
	}
	if err := m.attach(b.root, "/dev"); err != nil {
		return err
	}
	shm, err := b.inScratch("shm", sealed)
	if err != nil {
		return err
	}
	if err := shm.attach(b.root, "/dev/shm"); err != nil {
		return err
	}
	// gid 5 is tty wherever there is such a group; a new instance in every kernel since 4.7.
	pts, err := newMount("devpts", unix.MOUNT_ATTR_NOSUID|noExec, "newinstance", "mode=0620", "ptmxmode=0666", "gid=5")
	if err != nil {
		return err
	}
	return pts.attach(b.root, "/dev/pts")
}

// What of /proc a bottle may not write, and what it may not read: the lists of
// the OCI runtimes. Permissions refuse most of it to a user other than root
// already; this holds where a kernel or a module got them wrong.
var (
	procReadOnly = []string{"/proc/sys", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sysrq-trigger"}
	procMasked   = []string{
		"/proc/acpi", "/proc/asound", "/proc/config.gz", "/proc/interrupts", "/proc/kallsyms", "/proc/kcore", "/proc/keys",
		"/proc/key-users", "/proc/kmsg", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
		"/proc/timer_list", "/proc/timer_stats", "/proc/vmallocinfo",
	}
	sysMasked = []string{"/sys/firmware", "/sys/devices/virtual/powercap", "/sys/kernel/security", "/sys/hypervisor"}
)

func (b *builder) setUpProc() error {
	m, err := newMount("proc", sealed|noExec)
	if err != nil {
		return err
	}
	if err := m.attach(b.root, "/proc"); err != nil {
		return err
	}
	for _, p := range procReadOnly {
		if err := b.readOnlyBind(p); err != nil {
			return err
		}
	}
	return b.mask(procMasked)
}

// setUpSys shows the bottle's own devices (its network namespace's loopback) and
// its own control group, both read-only. What the host mounts below /sys, such as bpffs and
// debugfs, is not there.
func (b *builder) setUpSys() error {
	m, err := newMount("sysfs", sealed|readOnly|noExec)
	if err != nil {
		return err
	}
	if err := m.attach(b.root, "/sys"); err != nil {
		return err
	}
	cgroup, err := newMount("cgroup2", sealed|readOnly|noExec)
	if err != nil {
		return err
	}
	if err := cgroup.attach(b.root, "/sys/fs/cgroup"); err != nil {
		return err
	}
	return b.mask(sysMasked)
}

func (b *builder) mask(paths []string) error {
	for _, p := range paths {
		if err := b.cover(p); err != nil {
			return fmt.Errorf("mask %s: %w", p, err)
		}
	}
	return nil
}

func (b *builder) readOnlyBind(path string) error {
	fd, err := openIn(b.root, path)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	m, err := cloneTree(fd, unix.MountAttr{Attr_set: sealed | readOnly | noExec})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return m.attach(b.root, path)
}
