// Package bpf is the second wall of a bottle: eBPF programs on the bottle's cgroup
// that hold the process tree, whatever namespace it finds itself in.
//
// [Attach] loads a copy of the programs for one bottle, with the cookie of its
// network namespace as a constant, and attaches the complete set or nothing:
//
//	sock_create       only TCP and UDP, only in the bottle's namespace
//	sock_release      forgets who held the socket
//	bind4, bind6      only wildcard, loopback and the bottle's own addresses
//	connect4/6        TCP to anywhere; UDP to port 53 and to the bottle itself
//	sendmsg4/6        the same for UDP without connect
//	egress            the same for every packet, whoever made its socket
//	sock_ops          writes down which process opened a TCP connection
//
// Raw, ping, SCTP, UDP-Lite and MPTCP sockets are refused when they are made. MPTCP
// because the kernel opens its further subflows without any hook; a program that
// asks for it falls back to TCP, as Go and curl do.
//
// Not attached: post_bind, which sees nothing that bind does not; recvmsg, since
// what comes in was let out before; connect_unix, since a bottle sees no socket
// file of the host; setsockopt, because every option that matters (SO_MARK,
// IP_TRANSPARENT, TCP_REPAIR) needs a capability that a bottle has not, no rule of
// the namespace looks at a mark, and the hook would copy every option of every
// program. What no hook sees (AF_PACKET, AF_VSOCK, AF_NETLINK) is up to seccomp
// and to the namespace, which has no wire.
//
// The programs are pinned: they go on when the process that attached them is gone,
// [Open] finds them again and [Remove] takes them away. Each refusal is counted
// ([Hooks.Counts]) and reported with its process ([Hooks.Refusals]). [Flows] tells
// the other end of a connection who opened it, by a descriptor that an unprivileged
// process can hold.
//
// All methods may be used by several goroutines at once, except that Close and
// Detach must be the last.
package bpf
