// Package netns is the first wall of a bottle: a network namespace with no wire.
//
// The namespace has loopback and nothing else: no pair of interfaces to the host, no
// gateway, no forwarding. A [Plan] makes every address of the world local, so that a
// TCP connection to anywhere arrives at the listeners of [Namespace.Listen], which keep
// the address that the program asked for as their local address. Only what somebody
// reads from these listeners and passes on leaves the bottle.
//
//	program ── connect 192.0.2.1:443 ── lo ── prerouting: tproxy ── TCP listener
//	        ── sendto 8.8.8.8:53 ────── lo ── prerouting: accept ── UDP listener
//	        ── sendto 192.0.2.1:443 ─── output: reject (EPERM at once)
//	        ── localhost, own address ─ lo ── the bottle's own servers
//
// [Namespace.Apply] brings the kernel to the state of the plan, changes nothing when it
// is there, and undoes tampering. [Namespace.Diff] says what differs. [Namespace.Dump]
// is the state as text. Netlink only; no program is started.
//
// The rules make failures quick and loud, and carry connections to the listeners. They
// are not what keeps a bottle in: with all of them gone there is still no wire.
package netns
