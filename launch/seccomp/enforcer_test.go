package seccomp

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestEnforcer holds the filter of an enforcer to what it adds to a bottle's, and
// to what an enforcer needs.
func TestEnforcer(t *testing.T) {
	filter, err := Enforcer()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		number uint32
		args   []uint32
		want   uint32
	}{
		{"TCP socket", unix.SYS_SOCKET, []uint32{unix.AF_INET, unix.SOCK_STREAM, 0}, unix.SECCOMP_RET_ALLOW},
		{"UDP socket, for DNS", unix.SYS_SOCKET, []uint32{unix.AF_INET6, unix.SOCK_DGRAM, 0}, unix.SECCOMP_RET_ALLOW},
		{"netlink, for the host's own addresses", unix.SYS_SOCKET, []uint32{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE}, unix.SECCOMP_RET_ALLOW},
		{"Unix socket", unix.SYS_SOCKET, []uint32{unix.AF_UNIX, unix.SOCK_STREAM, 0}, refused(unix.EAFNOSUPPORT)},
		{"packet socket", unix.SYS_SOCKET, []uint32{unix.AF_PACKET, unix.SOCK_RAW, 0}, refused(unix.EAFNOSUPPORT)},
		{"raw socket", unix.SYS_SOCKET, []uint32{unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP}, refused(unix.EPERM)},
		{"map lookup", unix.SYS_BPF, []uint32{bpfMapLookup}, unix.SECCOMP_RET_ALLOW},
		{"map update", unix.SYS_BPF, []uint32{2}, refused(unix.EPERM)},
		{"program load", unix.SYS_BPF, []uint32{5}, refused(unix.EPERM)},
		{"accept", unix.SYS_ACCEPT4, nil, unix.SECCOMP_RET_ALLOW},
		{"another program", unix.SYS_EXECVE, nil, refused(unix.EPERM)},
		{"ptrace", unix.SYS_PTRACE, nil, refused(unix.EPERM)},
		{"setuid", unix.SYS_SETUID, nil, refused(unix.EPERM)},
		{"another namespace", unix.SYS_SETNS, nil, refused(unix.EPERM)},
		{"listen", unix.SYS_LISTEN, nil, refused(unix.EPERM)},
		{"bind of a netlink socket", unix.SYS_BIND, []uint32{3, 0, unix.SizeofSockaddrNetlink}, unix.SECCOMP_RET_ALLOW},
		{"bind to an address", unix.SYS_BIND, []uint32{3, 0, unix.SizeofSockaddrInet4}, refused(unix.EPERM)},
		{"bind to an address over IPv6", unix.SYS_BIND, []uint32{3, 0, unix.SizeofSockaddrInet6}, refused(unix.EPERM)},
		{"an option", unix.SYS_SETSOCKOPT, []uint32{3, unix.SOL_TCP, unix.TCP_NODELAY}, unix.SECCOMP_RET_ALLOW},
		{"an option with the number of another", unix.SYS_SETSOCKOPT, []uint32{3, unix.SOL_SOCKET, unix.IPV6_JOIN_GROUP}, unix.SECCOMP_RET_ALLOW},
		{"an option of IP", unix.SYS_SETSOCKOPT, []uint32{3, unix.SOL_IP, unix.IP_TOS}, unix.SECCOMP_RET_ALLOW},
		{"multicast group", unix.SYS_SETSOCKOPT, []uint32{3, unix.SOL_IP, unix.IP_ADD_MEMBERSHIP}, refused(unix.EPERM)},
		{"multicast group over IPv6", unix.SYS_SETSOCKOPT, []uint32{3, unix.SOL_IPV6, unix.IPV6_JOIN_GROUP}, refused(unix.EPERM)},
		{"multicast group, either way", unix.SYS_SETSOCKOPT, []uint32{3, unix.SOL_IPV6, unix.MCAST_JOIN_GROUP}, refused(unix.EPERM)},
		{"mount", unix.SYS_MOUNT, nil, refused(unix.EPERM)},
	} {
		if got := run(t, filter, nativeArch, c.number, c.args...); got != c.want {
			t.Errorf("%s: %#x, want %#x", c.name, got, c.want)
		}
	}
	if got := run(t, filter, unix.AUDIT_ARCH_I386, unix.SYS_GETPID); got != unix.SECCOMP_RET_KILL_PROCESS {
		t.Errorf("another architecture: %#x", got)
	}
}
