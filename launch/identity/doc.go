// Package identity turns the calling process, root with every capability, into
// an ordinary user that can never be anything else again, and proves it.
//
// [Drop] works on all threads of the process: user, groups, capabilities,
// securebits and no_new_privs are attributes of a thread in Linux, and a Go
// process has several before main runs. The calls go through libcap's psx,
// which makes them on every thread or not at all. [Verify] then reads back
// /proc/self/task/*/status, so that a call which succeeded without effect is
// found before the command runs and not after.
package identity
