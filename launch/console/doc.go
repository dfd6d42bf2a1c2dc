// Package console is the client's end of a bottle's terminal.
//
// The terminal is made in the bottle, in its own devpts, so that it is the
// controlling terminal of the command as of any shell's. The client makes a
// [Pair], gives one end to the daemon, [Pair.Receive]s the terminal's master
// over the other and relays between it and the user's own terminal with
// [Relay]. The daemon sees no byte of it.
//
// While the relay runs the user's terminal is in raw mode: Ctrl-C and Ctrl-Z are
// bytes to it, and become signals in the bottle, where the jobs are. Window
// sizes follow the user's terminal.
package console
