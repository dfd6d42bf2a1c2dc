package seccomp

import (
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// lastKnown is the highest system call number that has been judged: file_setattr
// of Linux 6.17. Numbers from 424 on are the same on every architecture.
const lastKnown = 469

// setIDBits are the mode bits that make a program run as its owner or group.
const setIDBits = unix.S_ISUID | unix.S_ISGID

// Namespaces that clone and unshare can make. CLONE_NEWTIME is in the signal
// byte of clone's flags and works with unshare only.
const (
	sandboxNamespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID |
		unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
	otherNamespaces = unix.CLONE_NEWCGROUP
)

// Personalities that are of use: Linux, its uname as on i386 or 2.6, without
// address randomisation (debuggers), and the question what it is.
var personalities = []uint32{0, 0x0008, 0x20000, 0x20008, 0x40000, 0xffffffff}

// rules is the table of the package comment.
func rules(o Options) []rule {
	newNamespaces := uint32(sandboxNamespaces | otherNamespaces)
	if o.UserNamespaces {
		newNamespaces = otherNamespaces
	}
	table := []rule{
		{unix.SYS_SOCKET, "socket", socketBody()},
		{unix.SYS_SOCKETPAIR, "socketpair", []bpf.Instruction{
			argument(0),
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_UNIX, SkipTrue: 1},
			refuse(unix.EAFNOSUPPORT),
			allow,
		}},
		{unix.SYS_CLONE, "clone", anyBit(0, newNamespaces)},
		{unix.SYS_UNSHARE, "unshare", anyBit(0, newNamespaces|unix.CLONE_NEWTIME)},
		{unix.SYS_CLONE3, "clone3", always(unix.ENOSYS)},
		{unix.SYS_OPENAT2, "openat2", always(unix.ENOSYS)},
		{unix.SYS_IOCTL, "ioctl", noneOf(1, unix.TIOCSTI, unix.TIOCLINUX, unix.TIOCSETD)},
		{unix.SYS_PERSONALITY, "personality", oneOf(0, personalities...)},
		{unix.SYS_FCHMOD, "fchmod", anyBit(1, setIDBits)},
		{unix.SYS_FCHMODAT, "fchmodat", anyBit(2, setIDBits)},
		{unix.SYS_FCHMODAT2, "fchmodat2", anyBit(2, setIDBits)},
		{unix.SYS_MKDIRAT, "mkdirat", anyBit(2, setIDBits)},
		{unix.SYS_MKNODAT, "mknodat", anyBit(2, setIDBits)},
		{unix.SYS_OPENAT, "openat", creating(2)},
	}
	refused := slices.Concat(never, neverNative)
	if !o.UserNamespaces {
		refused = append(refused, sandboxMounts...)
	}
	for _, c := range refused {
		table = append(table, rule{c.number, c.name, always(unix.EPERM)})
	}
	return append(table, nativeRules...)
}

type call struct {
	number uint32
	name   string
}

// sandboxMounts are refused unless programs may bring their own sandbox.
var sandboxMounts = []call{
	{unix.SYS_MOUNT, "mount"}, {unix.SYS_UMOUNT2, "umount2"},
	{unix.SYS_PIVOT_ROOT, "pivot_root"}, {unix.SYS_CHROOT, "chroot"},
}

// never are the calls refused whatever their arguments, on every architecture.
var never = []call{
	{unix.SYS_SETNS, "setns"}, {unix.SYS_PIDFD_GETFD, "pidfd_getfd"}, {unix.SYS_KCMP, "kcmp"},

	{unix.SYS_IO_URING_SETUP, "io_uring_setup"}, {unix.SYS_IO_URING_ENTER, "io_uring_enter"},
	{unix.SYS_IO_URING_REGISTER, "io_uring_register"}, {unix.SYS_BPF, "bpf"},
	{unix.SYS_PERF_EVENT_OPEN, "perf_event_open"}, {unix.SYS_USERFAULTFD, "userfaultfd"},

	{unix.SYS_KEYCTL, "keyctl"}, {unix.SYS_ADD_KEY, "add_key"}, {unix.SYS_REQUEST_KEY, "request_key"},

	{unix.SYS_FSOPEN, "fsopen"}, {unix.SYS_FSCONFIG, "fsconfig"}, {unix.SYS_FSMOUNT, "fsmount"},
	{unix.SYS_FSPICK, "fspick"}, {unix.SYS_MOVE_MOUNT, "move_mount"}, {unix.SYS_OPEN_TREE, "open_tree"},
	{unix.SYS_MOUNT_SETATTR, "mount_setattr"}, {unix.SYS_OPEN_TREE_ATTR, "open_tree_attr"},
	{unix.SYS_FANOTIFY_INIT, "fanotify_init"}, {unix.SYS_FANOTIFY_MARK, "fanotify_mark"},
	{unix.SYS_NAME_TO_HANDLE_AT, "name_to_handle_at"}, {unix.SYS_OPEN_BY_HANDLE_AT, "open_by_handle_at"},
	{unix.SYS_QUOTACTL, "quotactl"}, {unix.SYS_QUOTACTL_FD, "quotactl_fd"},

	{unix.SYS_INIT_MODULE, "init_module"}, {unix.SYS_FINIT_MODULE, "finit_module"},
	{unix.SYS_DELETE_MODULE, "delete_module"}, {unix.SYS_KEXEC_LOAD, "kexec_load"},
	{unix.SYS_KEXEC_FILE_LOAD, "kexec_file_load"}, {unix.SYS_REBOOT, "reboot"},
	{unix.SYS_SWAPON, "swapon"}, {unix.SYS_SWAPOFF, "swapoff"}, {unix.SYS_ACCT, "acct"},
	{unix.SYS_SETTIMEOFDAY, "settimeofday"}, {unix.SYS_CLOCK_SETTIME, "clock_settime"},
	{unix.SYS_CLOCK_ADJTIME, "clock_adjtime"}, {unix.SYS_SETHOSTNAME, "sethostname"},
	{unix.SYS_SETDOMAINNAME, "setdomainname"}, {unix.SYS_SYSLOG, "syslog"}, {unix.SYS_VHANGUP, "vhangup"},
	{unix.SYS_MIGRATE_PAGES, "migrate_pages"}, {unix.SYS_LOOKUP_DCOOKIE, "lookup_dcookie"},
	{unix.SYS_NFSSERVCTL, "nfsservctl"},
}
