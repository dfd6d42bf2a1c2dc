//go:build ignore

// The eBPF programs of one enforcer, which lives in the network namespace of the host:
// its fence. They hold whoever took the enforcer over to what the enforcer itself could
// have needed. Each loads its own copy, with tables of its own.
//
//   src/address.h  addresses and protocols
//   src/process.h  who is in a system call
//   src/refusal.h  how a refusal is counted and reported
//   src/ranges.h   what kind of place an address is
//   src/reach.h    what may be reached now
//   src/packet.h   the headers of a packet

#include <linux/bpf.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "src/address.h"

#include "src/process.h"

// An enforcer that is its own is refused nothing.
#define REFUSALS_BYTES (4 * 1024)
#include "src/refusal.h"

#include "src/ranges.h"

#include "src/reach.h"

#include "src/packet.h"

// The index of the loopback interface of every namespace (drivers/net/loopback.c).
#define LOOPBACK_IFINDEX 1

#define TCP_SYN 0x02
#define TCP_ACK 0x10

static __always_inline int refuse(struct bpf_sock_addr *ctx, const struct address *a,
				  enum hook hook, enum reason reason)
{
	struct refusal r = {
		.reason = reason,
		.hook = hook,
		.destination = *a,
		.port = bpf_ntohs((__u16)ctx->user_port),
		.family = ctx->family,
		.protocol = ctx->protocol,
	};
	current_process(&r.process);
	report(&r);
	return 0;
}

static __always_inline int judge(struct bpf_sock_addr *ctx, const struct address *a, enum hook hook)
{
	__u16 port = bpf_ntohs((__u16)ctx->user_port);

	// It listens on what it was given, and needs no address of the host.
	if (hook == HOOK_BIND)
		return refuse(ctx, a, hook, REASON_SOURCE);
	if (!protocol_allowed(ctx->type, ctx->protocol))
		return refuse(ctx, a, hook, REASON_PROTOCOL);
	// Go's resolver connects to this port of whatever a name resolved to, to learn which
	// source address the kernel would take (RFC 6724; net/addrselect.go), and sends
	// nothing. What did send, egress would refuse.
	if (hook == HOOK_CONNECT && ctx->protocol == IPPROTO_UDP && port == PORT_DNS)
		return 1;
	// A socket that sends without connecting receives from everybody.
	if (hook == HOOK_SENDMSG || !reaches(a, port, ctx->protocol, 0))
		return refuse(ctx, a, hook, REASON_DESTINATION);
	return 1;
}

static __always_inline int judge4(struct bpf_sock_addr *ctx, enum hook hook)
{
	struct address a = address4(ctx->user_ip4);

	return judge(ctx, &a, hook);
}

static __always_inline int judge6(struct bpf_sock_addr *ctx, enum hook hook)
{
	struct address a = {{
		ctx->user_ip6[0],
		ctx->user_ip6[1],
		ctx->user_ip6[2],
		ctx->user_ip6[3],
	}};

	return judge(ctx, &a, hook);
}

SEC("cgroup/sock_create")
int sock_create(struct bpf_sock *ctx)
{
	if (protocol_allowed(ctx->type, ctx->protocol))
		return 1;

	struct refusal r = {
		.reason = REASON_PROTOCOL,
		.hook = HOOK_SOCK_CREATE,
		.family = ctx->family,
		.protocol = ctx->protocol,
	};
	current_process(&r.process);
	report(&r);
	return 0;
}

SEC("cgroup/bind4")
int bind4(struct bpf_sock_addr *ctx)
{
	return judge4(ctx, HOOK_BIND);
}

SEC("cgroup/bind6")
int bind6(struct bpf_sock_addr *ctx)
{
	return judge6(ctx, HOOK_BIND);
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	return judge4(ctx, HOOK_CONNECT);
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx)
{
	return judge6(ctx, HOOK_CONNECT);
}

SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr *ctx)
{
	return judge4(ctx, HOOK_SENDMSG);
}

SEC("cgroup/sendmsg6")
int sendmsg6(struct bpf_sock_addr *ctx)
{
	return judge6(ctx, HOOK_SENDMSG);
}

// judge_packet judges every packet of a connection, so that one whose opening is gone
// ends with it. Flags are those of the TCP header (RFC 9293), if there is one.
static __always_inline enum reason judge_packet(struct __sk_buff *skb, struct packet *p, __u8 *flags)
{
	if (!parse(skb, p))
		return REASON_PACKET;
	if (p->protocol == IPPROTO_TCP) {
		if (bpf_skb_load_bytes(skb, p->transport + 13, flags, sizeof(*flags)))
			return REASON_PACKET;
		// listen(2) alone takes a port and passes no hook: it goes unanswered.
		if ((*flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK))
			return REASON_SOURCE;
	} else if (p->protocol != IPPROTO_UDP) {
		return REASON_PROTOCOL;
	}
	if (!reaches(&p->destination, p->port, p->protocol, skb->ifindex == LOOPBACK_IFINDEX))
		return REASON_DESTINATION;
	return REASON_NONE;
}

SEC("cgroup_skb/egress")
int egress(struct __sk_buff *skb)
{
	struct packet p = {};
	__u8 flags = 0;
	enum reason reason = judge_packet(skb, &p, &flags);

	if (!reason)
		return 1;
	// The last words of a connection whose opening is gone are no attempt at anything.
	if (reason == REASON_DESTINATION && p.protocol == IPPROTO_TCP && !(flags & TCP_SYN))
		return 0;

	struct refusal r = {
		.reason = reason,
		.hook = HOOK_EGRESS,
		.destination = p.destination,
		.port = p.port,
		.family = skb->protocol == bpf_htons(ETH_P_IP) ? AF_INET : AF_INET6,
		.protocol = p.protocol,
	};
	report(&r);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
