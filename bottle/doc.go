// Package bottle makes bottles, keeps account of them and ends them.
//
// A bottle is a process tree in namespaces and a cgroup of its own whose only way
// out is its enforcer. The [Manager] acquires what one needs in an order by which
// every wall stands before its command runs:
//
//	record     a directory of state, so that whoever comes next knows of the bottle
//	cgroup     a fresh one, never used before
//	spawn      the enforcer's process, which gets ready meanwhile
//	namespace  loopback only, and that is down
//
//	hooks      the eBPF programs on the cgroup, pinned         at the
//	fence      those on the cgroup of the enforcer, which      same time
//	           hold it to its table
//	rules      every destination local, all TCP to listeners
//	listeners  opened inside the namespace
//	authority  the bottle's own CA
//	init       the first process, born in the cgroup and the
//	           namespaces; it gets all ready, and waits
//
//	worker     the enforcer gets listeners, routes, tokens and CA, and serves
//	command    the first process runs it
//	identify   the record says who is who
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
