// Package bottle makes bottles, keeps account of them and ends them.
//
// A bottle is a process tree in namespaces and a cgroup of its own whose only way
// out is its enforcer. The [Manager] acquires what one needs in a fixed order, so
// that every wall stands before the first of its processes runs:
//
//	record     a directory of state, so that whoever comes next knows of the bottle
//	cgroup     a fresh one, never used before
//	spawn      the enforcer's process, which gets ready meanwhile
//	namespace  loopback only, every destination local, all TCP to the listeners
//	hooks      the eBPF programs on the cgroup, pinned
//	fence      those on the cgroup of the enforcer, which hold it to its table
//	listeners  opened inside the namespace
//	authority  the bottle's own CA
//	worker     the enforcer gets listeners, routes, tokens and CA, and serves
//	init       the first process, born in the cgroup and the namespaces
//
// and gives all of it back in one way only, [Manager]'s release, which works from
// what is found and not from what is remembered: a start that failed half-way, a
// stop, and the leavings of a daemon that was killed are the same case.
//
// State on disk lies under the run directory, one folder per daemon instance,
// locked by the instance for as long as it lives. A daemon that starts adopts the
// bottles of its own instance that are whole, and releases everything else that no
// living instance holds.
package bottle
