// Package inside is what runs in a bottle before the command and beside it: its
// first process. It shares with the parent side nothing but the [Plan] and
// the [Order] that come in and the [Report]s that go out, all over one socket.
//
//	descriptor 0, 1, 2   the command's, or nothing when it gets a terminal
//	descriptor 3         the socket: one Plan and one Order in, Reports out
//	descriptor 4         where the terminal's master goes, or nothing
//	descriptor 5         user namespace for an idmapped mount, or nothing
//	descriptor 6         contents of the files that the plan lays, or nothing
//
// The process starts as root with every capability, in the bottle's namespaces
// and control group, with the host's file system before it. It goes through
// numbered steps: file system, host name, terminal, identity, limits, seccomp,
// each read back where the kernel lets it. Any failure ends the process, and
// with it the bottle, before the command existed.
//
// What is left then is an ordinary user without capabilities under the same
// filter as the command, not dumpable, with /dev/null and the socket open. It says so
// and waits for the Order. Then it starts the command in a session of its own, reaps
// what is orphaned, passes signals on, and ends with the command; the kernel ends
// everything else in the bottle with it (pid_namespaces(7)).
//
// A process that joins a running bottle goes through the same steps without the
// file system's, and then becomes its command.
package inside
