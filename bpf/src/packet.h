// The headers of a packet, as far as it can be judged by them.

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd

struct packet {
	struct address destination;
	__u32 transport; // offset of the transport header
	__u16 port;
	__u8 protocol;
};

// parse4 reads an IPv4 header (RFC 791) and says whether it can be judged.
static __always_inline int parse4(struct __sk_buff *skb, struct packet *p)
{
	__u8 h[20];

	if (bpf_skb_load_bytes(skb, 0, h, sizeof(h)) || (h[0] >> 4) != 4)
		return 0;
	p->transport = (h[0] & 0x0f) * 4;
	p->protocol = h[9];
	p->destination = address4(*(__u32 *)(h + 16));
	// More fragments, or a fragment that is not the first.
	return p->transport >= sizeof(h) && !(h[6] & 0x3f) && !h[7];
}

// parse6 reads an IPv6 header (RFC 8200). An extension header is what its next
// header field says, which is neither TCP nor UDP.
static __always_inline int parse6(struct __sk_buff *skb, struct packet *p)
{
	__u8 h[40];

	if (bpf_skb_load_bytes(skb, 0, h, sizeof(h)) || (h[0] >> 4) != 6)
		return 0;
	p->transport = sizeof(h);
	p->protocol = h[6];
	__builtin_memcpy(&p->destination, h + 24, sizeof(p->destination));
	return 1;
}

static __always_inline int parse(struct __sk_buff *skb, struct packet *p)
{
	__u16 port;
	int whole = 0;

	if (skb->protocol == bpf_htons(ETH_P_IP))
		whole = parse4(skb, p);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		whole = parse6(skb, p);
	if (!whole)
		return 0;
	if (p->protocol != IPPROTO_TCP && p->protocol != IPPROTO_UDP)
		return 1;
	// RFC 9293 and RFC 768 have the destination port in the same place.
	if (bpf_skb_load_bytes(skb, p->transport + 2, &port, sizeof(port)))
		return 0;
	p->port = bpf_ntohs(port);
	return 1;
}
