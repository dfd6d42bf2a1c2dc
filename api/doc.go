// Package api is the daemon's face: HTTP/JSON over a Unix socket, and the types
// that travel over it. docs/api.md is the same thing told to somebody with curl.
//
// A [Server] is given a [Bottles], which does the work, and a listener from
// [Listen] or from systemd. It decides who calls, what a well-formed request is,
// and what may be said in an answer; it decides nothing about bottles.
//
// # Who calls
//
// The kernel says (SO_PEERCRED, SO_PEERGROUPS, SO_PEERPIDFD: unix(7)), at the
// moment of connect(2), and nothing else is asked: no header, no /proc path. So a
// connection is its connector's for as long as it is open. A program that
// inherits it, or is handed it, acts with the connector's rights, neither with
// more (a set-uid program writing into it) nor with fewer (root connecting on
// somebody's behalf); and once the connector has exited, the connection is
// refused. Callers are root, and members of one group. They have to come from the
// daemon's own network namespace, which no process of a bottle does.
//
// # What is a request
//
// One JSON document of at most [MaxBody] bytes with a Content-Length, keys spelled
// exactly, none twice, none unknown. Descriptors for the command's streams may ride along
// (SCM_RIGHTS): anonymous pipes, or one Unix socket for a terminal, nothing that
// would give a bottle a file, a directory or a wire.
//
// # What is an answer
//
// A bottle that is not the caller's and a bottle that is not there are one and the
// same 404. Everything that is not a success carries an [Error].
package api
