// The namespace of a packet. Programs for packets have bpf_get_netns_cookie since
// Linux 6.15. Before that the namespace is written down at the socket when it is
// made, where it can be asked for, and a socket never changes it. The verifier knows
// home.by_mark and drops the other branch unseen, so the helper may be missing.

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	// A socket that accept(2) returns has the mark of its listener.
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, __u64); // cookie of the namespace
} marks SEC(".maps");

// mark says whether the socket now has what egress will look for.
static __always_inline int mark(struct bpf_sock *sk, __u64 cookie)
{
	if (!home.by_mark)
		return 1;
	return bpf_sk_storage_get(&marks, sk, &cookie, BPF_SK_STORAGE_GET_F_CREATE) != 0;
}

// netns_of returns the cookie of the packet's namespace, or zero when nobody knows.
static __always_inline __u64 netns_of(struct __sk_buff *skb)
{
	if (!home.by_mark)
		return bpf_get_netns_cookie(skb);

	struct bpf_sock *sk = skb->sk;

	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (!sk)
		return 0;

	__u64 *cookie = bpf_sk_storage_get(&marks, sk, 0, 0);

	return cookie ? *cookie : 0;
}
