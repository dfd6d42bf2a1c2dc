// Addresses, and what else names a socket.

#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define PORT_DNS 53

// address is an IPv6 address, or an IPv4 address in its mapped form.
struct address {
	__u32 word[4]; // network byte order
};

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

// protocol_allowed says that a socket is plain TCP or UDP. A subflow of MPTCP is made
// by the kernel and passes no hook, so MPTCP is not.
static __always_inline int protocol_allowed(__u32 type, __u32 protocol)
{
	return (type == SOCK_STREAM && protocol == IPPROTO_TCP) ||
	       (type == SOCK_DGRAM && protocol == IPPROTO_UDP);
}
