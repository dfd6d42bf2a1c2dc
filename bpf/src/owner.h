// Which process holds a socket: the one that made it, then the one that connected
// it. An entry lives exactly as long as the socket (sock_create to sock_release),
// so a socket that was never seen has none, and none is left over.

#define OWNERS_MAX 16384

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, OWNERS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64); // socket cookie
	__type(value, struct process);
} owners SEC(".maps");

// own records the current process and says whether there was room.
static __always_inline int own(__u64 cookie)
{
	struct process p = {};

	current_process(&p);
	return !bpf_map_update_elem(&owners, &cookie, &p, BPF_ANY);
}
