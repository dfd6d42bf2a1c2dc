// socket(2) and close(2). The hook runs in inet_create and inet6_create for every
// socket that a program makes: also for raw, ping, SCTP, UDP-Lite and MPTCP
// sockets, which connect and sendmsg hooks do not see. Sockets that accept(2)
// returns are not made here, and have no owner.

// The owner comes last: a socket that is refused is never released.
SEC("cgroup/sock_create")
int sock_create(struct bpf_sock *ctx)
{
	enum reason reason = REASON_NONE;
	__u64 netns = bpf_get_netns_cookie(ctx);

	if (!at_home(netns))
		reason = REASON_NAMESPACE;
	else if (!protocol_allowed(ctx->type, ctx->protocol))
		reason = REASON_PROTOCOL;
	else if (!mark(ctx, netns) || !own(bpf_get_socket_cookie(ctx)))
		reason = REASON_SOCKETS;
	if (!reason)
		return 1;

	struct refusal r = {
		.reason = reason,
		.hook = HOOK_SOCK_CREATE,
		.family = ctx->family,
		.protocol = ctx->protocol,
	};
	current_process(&r.process);
	report(&r);
	return 0;
}

SEC("cgroup/sock_release")
int sock_release(struct bpf_sock *ctx)
{
	__u64 cookie = bpf_get_socket_cookie(ctx);

	bpf_map_delete_elem(&owners, &cookie);
	return 1;
}
