// The constants of the bottle and what they allow. All are zero until the loader
// sets them, and with a zero cookie nothing is allowed.

// The only variable of its section, so that it lies at offset 0 of the map
// .rodata, where the loader of a later version still finds it.
volatile const struct bottle {
	// Of the bottle's network namespace. The kernel gives no cookie twice, and
	// never zero (net/core/net_namespace.c, net->net_cookie).
	__u64 netns_cookie;
	// The addresses of the bottle. Zero: none.
	struct address own4;
	struct address own6;
	// Not zero: egress reads the namespace of a packet from the mark of its socket.
	__u8 by_mark;
} home = {};

// is_own says that the address never leaves the bottle: loopback or its own. Zero
// as destination is loopback too (net/ipv4/route.c, ip_route_output_key_hash_rcu).
static __always_inline int is_own(const struct address *a)
{
	if (is_any(a))
		return 1;
	if (is_mapped(a))
		return (bpf_ntohl(a->word[3]) >> 24) == 127 || is_equal(a, &home.own4);
	if (!a->word[0] && !a->word[1] && !a->word[2])
		return a->word[3] == bpf_htonl(1);
	return is_equal(a, &home.own6);
}

// at_home says that a socket belongs to the bottle's namespace.
static __always_inline int at_home(__u64 cookie)
{
	return home.netns_cookie && cookie == home.netns_cookie;
}
