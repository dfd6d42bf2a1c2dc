// Package worker is the enforcer of one bottle as a process of its own.
//
// Everything a bottle sends is hostile, so nothing of it is parsed by a process
// with privileges. The daemon opens the listeners inside the bottle's network
// namespace, then starts a worker and hands it, over a socketpair, what it needs
// and no more:
//
//	daemon (root)                        worker (uid of its own, no capability)
//	  Spawn ───────────────────────────────► Main: confine
//	  HandOver ── socketpair: Handoff + fds ► receive, serve
//	           ◄─ ready or error ───────────
//	  Dial ────── control socket ──────────► PUT /table, PUT /tokens, GET /events, …
//
// A worker lives in the host's network namespace, because it dials the upstreams,
// and in a cgroup beside the bottle's, so that the bottle's hooks do not bind it. That
// cgroup has a fence of its own, within which it dials and asks for names.
// It holds its listeners for as long as it lives: a daemon that ends, is killed or
// is replaced touches no connection, and the next one finds the worker through the
// control socket in the bottle's state directory. A worker that dies leaves the
// bottle with no listener, which is to say with no way out at all.
//
// The parent's side is [Spawn], [Dial] and [Worker]; the child's is [Main], which
// cmd/bottled calls when it is executed under the name [Arg0].
package worker
