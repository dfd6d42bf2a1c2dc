// What an enforcer may reach now, by port and address. The table is replaced as a
// whole, so that no packet meets half of one; without a table nothing is reached.

#define REACH_MAX 65536

enum scope {
	SCOPE_NONE,
	SCOPE_PUBLIC,   // TCP to public addresses
	SCOPE_PRIVATE,  // TCP to private addresses, and those of the host, too
	SCOPE_RESOLVER, // TCP and UDP, whatever kind of address it is
};

struct opening {
	__u32 bits; // 32 of the port, then those of the address
	__u32 port;
	struct address address;
};

struct reach {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, REACH_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	// By size: the compiler leaves out what types inside of types are made of.
	__uint(key_size, sizeof(struct opening));
	__uint(value_size, sizeof(__u8)); // enum scope
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct reach);
} reach SEC(".maps");

static __always_inline enum scope scope_of(const struct address *a, __u16 port)
{
	struct opening k = {32 + 128, port, *a};
	__u32 first = 0;
	void *table = bpf_map_lookup_elem(&reach, &first);

	if (!table)
		return SCOPE_NONE;

	__u8 *scope = bpf_map_lookup_elem(table, &k);

	return scope ? *scope : SCOPE_NONE;
}

// reaches says whether a segment or datagram may go there. own: the address is one of
// the host's own, which are no more public than its loopback.
static __always_inline int reaches(const struct address *a, __u16 port, __u32 protocol, int own)
{
	enum scope scope = scope_of(a, port);

	if (scope == SCOPE_RESOLVER)
		return 1;
	if (protocol != IPPROTO_TCP || scope == SCOPE_NONE)
		return 0;

	enum class class = class_of(a);

	if (class == CLASS_PRIVATE || (class == CLASS_PUBLIC && own))
		return scope == SCOPE_PRIVATE;
	return class == CLASS_PUBLIC;
}
