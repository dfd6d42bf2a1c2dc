// Package seccomp is the system call filter of a bottle: what no program in it
// may ask of the kernel, whatever user it is.
//
// The filter closes what the network walls cannot see (AF_VSOCK and AF_PACKET
// skip nftables and the cgroup hooks) and what enlarges the kernel's surface
// without being of use to a build or an agent. It is the last thing that the
// first process of a bottle sets up before it starts the command, and every
// process in the bottle inherits it.
//
// # The table
//
//	what                                              answer
//	foreign ABIs: i386 by int 0x80 or a 32-bit ELF    the process is killed (SIGSYS)
//	x32 numbers, numbers younger than this table      ENOSYS
//	socket: a family but UNIX, INET, INET6, NETLINK   EAFNOSUPPORT
//	socket: INET, INET6 with a type but STREAM, DGRAM EPERM
//	socket: INET, INET6 with a protocol but TCP, UDP  EPROTONOSUPPORT (MPTCP falls back to TCP)
//	socket: NETLINK but NETLINK_ROUTE                 EPROTONOSUPPORT
//	socketpair: a family but UNIX                     EAFNOSUPPORT
//	clone, unshare with any new namespace             EPERM
//	clone3, openat2 (arguments behind a pointer)      ENOSYS, so that libc falls back
//	setns, pidfd_getfd, kcmp                          EPERM
//	io_uring, bpf, perf_event_open, userfaultfd       EPERM
//	keyctl, add_key, request_key                      EPERM
//	the mount family, pivot_root, chroot, fanotify    EPERM
//	modules, kexec, reboot, swap, quota, accounting   EPERM
//	clocks, host name, kernel log, I/O ports, LDT     EPERM
//	name_to_handle_at, open_by_handle_at              EPERM
//	ioctl TIOCSTI, TIOCLINUX, TIOCSETD                EPERM
//	set-user-ID or set-group-ID bits in any mode      EPERM
//	personality but Linux, its 32-bit and no-ASLR     EPERM
//
// Allowed on purpose: ptrace and process_vm_readv within the bottle (debuggers;
// the first process is not dumpable, and there is nobody else to trace),
// seccomp and Landlock (programs that narrow themselves further), passing of
// descriptors over AF_UNIX.
//
// [Options].UserNamespaces reopens what programs with a sandbox of their own
// need: new user, mount, pid, net, ipc and uts namespaces, mount, umount2,
// pivot_root and chroot, which outside a new user namespace still fail for want
// of capabilities. Everything else stays shut, the address families first.
//
// Only the low half of an argument is looked at: each argument tested here is an
// int, an unsigned int or a mode_t to the kernel, or a flag word whose high half
// it refuses itself.
package seccomp
