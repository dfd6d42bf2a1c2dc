// Package bpf is the second wall of a bottle: eBPF programs on the bottle's cgroup
// that hold the process tree, whatever namespace it finds itself in; and the fence of
// its enforcer, which has the host's namespace.
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
// Not attached to a bottle: post_bind, which sees nothing that bind does not; recvmsg, since
// what comes in was let out before; connect_unix, since a bottle sees no socket
// file of the host; setsockopt, because every option that matters (SO_MARK,
// IP_TRANSPARENT, TCP_REPAIR) needs a capability that a bottle has not, no rule of
// the namespace looks at a mark, and the hook would copy every option of every
// program. What no hook sees (AF_PACKET, AF_VSOCK, AF_NETLINK) is up to seccomp
// and to the namespace, which has no wire.
//
// [AttachFence] does the same for the cgroup of the enforcer, which dials for the
// bottle: should somebody take it over, they reach what it could have been asked to,
// and not the services of the host. Its programs share no code with the dial gate.
//
//	sock_create       only TCP and UDP
//	bind4, bind6      nothing: an enforcer listens on what it was given
//	connect4/6        TCP within its [Reach]; UDP to the resolvers; see below
//	sendmsg4/6        nothing: the resolver connects
//	egress            the same for every packet; and no answer to a SYN, since listen(2)
//	                  without bind(2) passes no hook
//
// A Reach opens ports of public addresses, and of private ranges (loopback among them)
// where a route says allow_private, which then goes for the host's own addresses, too.
// Metadata services, link-local, multicast and unassigned addresses are in no Reach;
// only a resolver of the host may be there. UDP connects to port 53 of anything, because
// that is how Go asks for its source address; only to a resolver can something be sent.
//
// The programs need Linux 5.9 or later, and the rest of bottled 5.14. What decides, by
// the release that has it for all the kinds of programs that use it:
//
//	4.12  tables of addresses, and tables that change    BPF_MAP_TYPE_LPM_TRIE, BPF_MAP_TYPE_ARRAY_OF_MAPS
//	4.18  hooks on connect(2), bind(2) and sendto(2)     BPF_PROG_TYPE_CGROUP_SOCK_ADDR
//	5.5   constants that the verifier knows              .rodata, frozen
//	5.7   links to a cgroup, pinned                      BPF_LINK_CREATE
//	5.7   namespace and cookie of a socket               bpf_get_netns_cookie, bpf_get_socket_cookie
//	5.7   process, also by name                          bpf_get_current_pid_tgid, bpf_get_current_comm
//	5.8   reports                                        BPF_MAP_TYPE_RINGBUF
//	5.9   the end of a socket, and links that detach     BPF_CGROUP_INET_SOCK_RELEASE, BPF_LINK_DETACH
//	5.9   a mark on a socket when it is made             bpf_sk_storage_get in cgroup/sock (BPF_F_CLONE: 5.4)
//	5.14  the namespace's cookie, for the loader         SO_NETNS_COOKIE
//	6.15  namespace of a packet                          bpf_get_netns_cookie in cgroup_skb
//
// Before 6.15, such as on Debian 12 (6.1) and 13 (6.12), egress goes by the mark
// that sock_create leaves at a socket and that a socket from accept(2) inherits from
// its listener; a packet of a socket without a mark is refused. [Options.ByMark] does
// the same on any kernel. Tried on 6.18, both ways; the releases are from the history
// of kernel/bpf and net/core/filter.c.
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
