// What kind of place an address is, by the longest range that holds it. The ranges
// come from the loader (ranges.go); an address in none of them is reached by nobody.

#define RANGES_MAX 128

enum class {
	CLASS_NEVER,   // nothing opens it: metadata services, link-local, multicast, unassigned
	CLASS_PRIVATE, // an opening for it is needed
	CLASS_PUBLIC,
	CLASS_NAT64,   // an IPv4 address is in the last word (RFC 6052)
};

struct range {
	__u32 bits;
	struct address address;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, RANGES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__type(key, struct range);
	__type(value, __u8);
} ranges SEC(".maps");

static __always_inline enum class range_of(const struct address *a)
{
	struct range k = {128, *a};
	__u8 *class = bpf_map_lookup_elem(&ranges, &k);

	return class ? *class : CLASS_NEVER;
}

static __always_inline enum class class_of(const struct address *a)
{
	enum class class = range_of(a);

	if (class != CLASS_NAT64)
		return class;

	struct address inner = address4(a->word[3]);

	// No opening reaches through a translator.
	return range_of(&inner) == CLASS_PUBLIC ? CLASS_PUBLIC : CLASS_NEVER;
}
