package seccomp

import (
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// alone are the calls by which a process becomes another, starts one, or reaches
// one: an enforcer has no use for any, and who got into one has.
var alone = []call{
	{unix.SYS_EXECVE, "execve"}, {unix.SYS_EXECVEAT, "execveat"},
	{unix.SYS_PTRACE, "ptrace"}, {unix.SYS_PIDFD_OPEN, "pidfd_open"}, {unix.SYS_PIDFD_SEND_SIGNAL, "pidfd_send_signal"},
	{unix.SYS_PROCESS_VM_READV, "process_vm_readv"}, {unix.SYS_PROCESS_VM_WRITEV, "process_vm_writev"},
	{unix.SYS_PROCESS_MADVISE, "process_madvise"},
	{unix.SYS_SETUID, "setuid"}, {unix.SYS_SETGID, "setgid"}, {unix.SYS_SETREUID, "setreuid"}, {unix.SYS_SETREGID, "setregid"},
	{unix.SYS_SETRESUID, "setresuid"}, {unix.SYS_SETRESGID, "setresgid"}, {unix.SYS_SETGROUPS, "setgroups"},
	{unix.SYS_SETFSUID, "setfsuid"}, {unix.SYS_SETFSGID, "setfsgid"}, {unix.SYS_CAPSET, "capset"},
	{unix.SYS_LISTEN, "listen"},
}

// memberships are the options of IP and IPv6 sockets that have the kernel send reports
// of groups of the program's choice, past every hook (linux/in.h, linux/in6.h).
var memberships = []uint32{
	unix.IP_ADD_MEMBERSHIP, unix.IP_ADD_SOURCE_MEMBERSHIP, unix.IPV6_JOIN_GROUP, unix.IPV6_JOIN_ANYCAST,
	unix.MCAST_JOIN_GROUP, unix.MCAST_JOIN_SOURCE_GROUP,
	41, 48, // IP_MSFILTER, MCAST_MSFILTER
}

// Commands of bpf(2) that an enforcer uses on the map it was given; without a
// capability it could do little with the others (linux/bpf.h).
const (
	bpfMapLookup      = 1
	bpfObjectInfoByFD = 15
)

// Enforcer assembles the filter of an enforcer: all that [Program] refuses, any
// other program or process, new Unix sockets, behind which the host's services are,
// listening, and all of bpf(2) but looking something up. Sockets that it was given stay
// usable. Go binds a netlink socket to ask for the host's addresses; an internet address
// is longer than that (net/ipv4/af_inet.c, inet_bind_sk).
func Enforcer() ([]bpf.RawInstruction, error) {
	own := []rule{
		{unix.SYS_BPF, "bpf", oneOf(0, bpfMapLookup, bpfObjectInfoByFD)},
		{unix.SYS_BIND, "bind", oneOf(2, unix.SizeofSockaddrNetlink)},
		{unix.SYS_SETSOCKOPT, "setsockopt", append([]bpf.Instruction{
			argument(1),
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SOL_IP, SkipTrue: 2},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SOL_IPV6, SkipTrue: 1},
			allow,
		}, noneOf(2, memberships...)...)},
		{unix.SYS_SOCKET, "socket", append([]bpf.Instruction{
			argument(0),
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_UNIX, SkipFalse: 1},
			refuse(unix.EAFNOSUPPORT),
		}, socketBody()...)},
	}
	table := slices.DeleteFunc(rules(Options{}), func(r rule) bool {
		return slices.ContainsFunc(own, func(o rule) bool { return o.number == r.number })
	})
	table = append(table, own...)
	for _, c := range alone {
		if !slices.ContainsFunc(table, func(r rule) bool { return r.number == c.number }) {
			table = append(table, rule{c.number, c.name, always(unix.EPERM)})
		}
	}
	return assemble(table)
}
