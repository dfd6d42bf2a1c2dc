// How a refusal is counted and reported. The count is exact; the report is best
// effort: when nobody reads the ring, refusals are lost and that is counted.
// Whoever includes this says how large the ring is, in REFUSALS_BYTES.

enum reason {
	REASON_NONE,
	REASON_NAMESPACE,   // the socket is not of the bottle's namespace
	REASON_PROTOCOL,    // neither TCP nor UDP
	REASON_DESTINATION, // UDP to somewhere else than DNS or the bottle itself; what an enforcer may not reach
	REASON_SOURCE,      // bind to an address that is not the bottle's; an enforcer that binds or listens
	REASON_PACKET,      // fragment, extension header, cut short, not IP
	REASON_SOCKETS,     // more sockets than the bottle may hold
	REASONS,
};

enum hook {
	HOOK_NONE,
	HOOK_SOCK_CREATE,
	HOOK_BIND,
	HOOK_CONNECT,
	HOOK_SENDMSG,
	HOOK_EGRESS,
};

// The counts: one for each reason, then what could not be recorded.
enum {
	COUNT_REPORTS_LOST = REASONS,
	COUNT_FLOWS_LOST,
	COUNTS,
};

struct refusal {
	__u64 time; // CLOCK_MONOTONIC, ns
	struct process process;
	struct address destination;
	__u16 port;
	__u16 family;
	__u16 protocol;
	__u8 reason;
	__u8 hook;
	__u32 unused;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, COUNTS);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, REFUSALS_BYTES);
} refusals SEC(".maps");

static __always_inline void count(__u32 which)
{
	__u64 *n = bpf_map_lookup_elem(&counts, &which);

	if (n)
		__sync_fetch_and_add(n, 1);
}

// report counts the refusal and offers it to the reader. It is a function of its
// own, verified once for each program, because it is called from many places.
static __noinline int report(struct refusal *r)
{
	if (!r)
		return 0;
	count(r->reason);
	r->time = bpf_ktime_get_ns();
	if (bpf_ringbuf_output(&refusals, r, sizeof(*r), 0))
		count(COUNT_REPORTS_LOST);
	return 0;
}
