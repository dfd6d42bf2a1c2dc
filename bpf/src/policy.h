// The constants of the bottle and what they allow. All are zero until the loader
// sets them, and with a zero cookie nothing is allowed.

#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define PORT_DNS 53

// address is an IPv6 address, or an IPv4 address in its mapped form.
struct address {
	__u32 word[4]; // network byte order
};

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

#define MAPPED bpf_htonl(0x0000ffff)

static __always_inline struct address address4(__u32 ip)
{
	struct address a = {{0, 0, MAPPED, ip}};
	return a;
}

static __always_inline int is_mapped(const struct address *a)
{
	return !a->word[0] && !a->word[1] && a->word[2] == MAPPED;
}

static __always_inline int is_any(const struct address *a)
{
	return !a->word[0] && !a->word[1] && !a->word[3] &&
	       (!a->word[2] || a->word[2] == MAPPED);
}

static __always_inline int is_equal(const struct address *a, const volatile struct address *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] &&
	       a->word[2] == b->word[2] && a->word[3] == b->word[3];
}

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
