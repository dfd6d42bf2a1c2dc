// Which process opened a TCP connection, for the other end of it, which knows
// addresses only. An entry is written when the handshake is done, before the
// listener can accept, and deleted when the socket closes. The initial sequence
// number tells a connection from a later one between the same addresses.

// More than sockets: one that is closed may still have data to send.
#define FLOWS_MAX 32768

struct flow_key {
	struct address local;
	struct address remote;
	__u16 local_port;
	__u16 remote_port;
};

struct flow {
	__u64 cookie; // of the socket
	__u64 opened; // CLOCK_MONOTONIC, ns
	__u32 isn;    // initial sequence number of the SYN
	struct process process;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FLOWS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct flow_key);
	__type(value, struct flow);
} flows SEC(".maps");

static __always_inline void key_of(struct bpf_sock_ops *ctx, struct flow_key *k)
{
	__u32 family = ctx->family;
	struct address local4 = address4(ctx->local_ip4);
	struct address remote4 = address4(ctx->remote_ip4);

	k->local.word[0] = ctx->local_ip6[0];
	k->local.word[1] = ctx->local_ip6[1];
	k->local.word[2] = ctx->local_ip6[2];
	k->local.word[3] = ctx->local_ip6[3];
	k->remote.word[0] = ctx->remote_ip6[0];
	k->remote.word[1] = ctx->remote_ip6[1];
	k->remote.word[2] = ctx->remote_ip6[2];
	k->remote.word[3] = ctx->remote_ip6[3];
	// The one is in host byte order, the other in network byte order.
	k->local_port = ctx->local_port;
	k->remote_port = bpf_ntohl(ctx->remote_port);
	// All loads are done here: moved into the branch, they would be one load from a
	// computed offset, which the verifier refuses.
	barrier();
	if (family == AF_INET) {
		k->local = local4;
		k->remote = remote4;
	}
}

static __always_inline void open_flow(struct bpf_sock_ops *ctx)
{
	struct flow_key k = {};
	struct flow f = {};

	f.cookie = bpf_get_socket_cookie(ctx);
	struct process *owner = bpf_map_lookup_elem(&owners, &f.cookie);

	if (!owner) {
		count(COUNT_FLOWS_LOST);
		return;
	}
	f.process = *owner;
	f.opened = bpf_ktime_get_ns();
	// The SYN and the data it carried are acknowledged (tcp_snd_una_update).
	f.isn = ctx->snd_una - (__u32)ctx->bytes_acked;
	key_of(ctx, &k);
	if (bpf_map_update_elem(&flows, &k, &f, BPF_ANY))
		count(COUNT_FLOWS_LOST);
}

static __always_inline void close_flow(struct bpf_sock_ops *ctx)
{
	struct flow_key k = {};

	key_of(ctx, &k);
	struct flow *f = bpf_map_lookup_elem(&flows, &k);

	if (f && f->cookie == bpf_get_socket_cookie(ctx))
		bpf_map_delete_elem(&flows, &k);
}

SEC("sockops")
int sock_ops(struct bpf_sock_ops *ctx)
{
	switch (ctx->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		bpf_sock_ops_cb_flags_set(ctx, BPF_SOCK_OPS_STATE_CB_FLAG);
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		open_flow(ctx);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		if (ctx->args[1] == BPF_TCP_CLOSE)
			close_flow(ctx);
		break;
	}
	return 1;
}
