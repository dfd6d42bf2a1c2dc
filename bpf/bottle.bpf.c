//go:build ignore

// The eBPF programs of one bottle. Each bottle loads its own copy with its own
// constants and maps, so that nothing is shared between two bottles.
//
// The parts, in the order in which a connection meets them:
//
//   src/address.h  addresses and protocols
//   src/policy.h   the constants of the bottle and what they allow
//   src/process.h  who is in a system call
//   src/owner.h    which process holds a socket
//   src/refusal.h  how a refusal is counted and reported
//   src/mark.h     the namespace of a packet
//   src/sock.h     socket(2) and close(2) of a socket
//   src/addr.h     bind(2), connect(2), sendto(2)
//   src/packet.h   the headers of a packet
//   src/skb.h      every packet on its way out
//   src/flow.h     which process opened a TCP connection

#include <linux/bpf.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "src/address.h"

#include "src/policy.h"

#include "src/process.h"

#include "src/owner.h"

#define REFUSALS_BYTES (32 * 1024)
#include "src/refusal.h"

#include "src/mark.h"

#include "src/sock.h"

#include "src/addr.h"

#include "src/packet.h"

#include "src/skb.h"

#include "src/flow.h"

char LICENSE[] SEC("license") = "GPL";
