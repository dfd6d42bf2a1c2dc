// bind(2), connect(2) and sendto(2) of a socket without a peer. The family of the
// call, not of the socket, picks the hook: an IPv6 socket that connects to a
// mapped IPv4 address comes through connect6.

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
	if (!at_home(bpf_get_netns_cookie(ctx)))
		return refuse(ctx, a, hook, REASON_NAMESPACE);
	if (!protocol_allowed(ctx->type, ctx->protocol))
		return refuse(ctx, a, hook, REASON_PROTOCOL);
	if (hook == HOOK_BIND)
		return is_own(a) ? 1 : refuse(ctx, a, hook, REASON_SOURCE);
	if (ctx->protocol == IPPROTO_UDP && !is_own(a) &&
	    ctx->user_port != bpf_htons(PORT_DNS))
		return refuse(ctx, a, hook, REASON_DESTINATION);
	if (hook == HOOK_CONNECT && !own(bpf_get_socket_cookie(ctx)))
		return refuse(ctx, a, hook, REASON_SOCKETS);
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
