// Package gate is the second gate: where a connection is really dialled.
//
// The first gate, package routes, decides by name what a request may do. This
// one is independent of it and asks two questions of its own, however the
// caller came to its answer:
//
//   - Is the name in the gate's own copy of the allowed set ([Gate.Allow])?
//   - Is each address that the name resolves to one that may be dialled
//     ([Refuse])?
//
// It then dials exactly an address it has checked: the name is resolved once,
// as a fully qualified name, and never again by anybody below. That closes DNS
// rebinding, search-domain surprises and the addresses that look public to
// package netip and are not.
package gate
