// Package launch runs a command in a bottle: in namespaces of its own, as an
// ordinary user with nothing to become more, and with a file system in which it
// finds the host's programs but not the host's sockets or the user's credentials.
//
// # Two sides
//
// The parent side is [Prepare], [Exec], [Adopt] and [Process]: it runs in the daemon as
// root. The child side is package launch/inside: the same executable started again under
// the name "bottled-init", as the first process of the bottle. An executable that
// imports this package is one by that.
//
// # What comes from elsewhere
//
// The network namespace and the control group are the caller's, given as open
// descriptors: the first process is born in both (setns on a thread that is thrown
// away, clone3 with CLONE_INTO_CGROUP), so there is no moment in which it could
// make a socket outside. Mount, pid, ipc, uts and cgroup namespaces are made here.
//
// # Errors
//
// [Prepare] returns when all is ready for the command, and [Prepared.Run] when it has
// been executed, or an error that names the step at which it ended ("cannot set up
// /proc: …"); after an error nothing of the bottle is running. A command that could not
// be executed is a [*CommandError], which knows the shell's exit status for it, 127 or
// 126, and a path that cannot be had is a [filesystem.ErrPath].
//
// # The environment and secrets
//
// The command's environment is exactly Spec.Env. The first process has none, is
// not dumpable, and is told what to do over a socket. No secret belongs in a
// Spec: what a bottle may use is injected outside of it.
package launch
