// Every packet on its way out of a socket of the bottle: what no hook on a system
// call sees, such as a socket that was made before its process joined the cgroup.
// Only the plain forms pass: TCP, or UDP to port 53 or to the bottle itself,
// directly behind the IP header, not in pieces.

SEC("cgroup_skb/egress")
int egress(struct __sk_buff *skb)
{
	struct packet p = {};
	enum reason reason = REASON_NONE;

	if (!parse(skb, &p))
		reason = REASON_PACKET;
	else if (!at_home(netns_of(skb)))
		reason = REASON_NAMESPACE;
	else if (p.protocol == IPPROTO_UDP)
		reason = p.port == PORT_DNS || is_own(&p.destination) ? REASON_NONE : REASON_DESTINATION;
	else if (p.protocol != IPPROTO_TCP)
		reason = REASON_PROTOCOL;
	if (!reason)
		return 1;

	struct refusal r = {
		.reason = reason,
		.hook = HOOK_EGRESS,
		.destination = p.destination,
		.port = p.port,
		.family = skb->protocol == bpf_htons(ETH_P_IP) ? AF_INET : AF_INET6,
		.protocol = p.protocol,
	};
	// A packet can be sent from a timer, so the current process says nothing.
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct process *owner = bpf_map_lookup_elem(&owners, &cookie);

	if (owner)
		r.process = *owner;
	report(&r);
	return 0;
}
