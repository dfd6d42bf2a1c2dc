// Package cli is the bottled command: the daemon when it is called bare, and its
// client otherwise. It parses arguments, relays streams and signals, and prints;
// what a bottle is and may do is decided by the daemon.
//
// A command is one entry of a table, one usage text and one method. Its exit
// status is 0, 1 for a failure and 2 for a wrong command line; run and exec pass on
// the status of the command in the bottle, 128+n for signal n, and use 125 for every failure of
// bottled's own, 126 for a command that cannot be executed and 127 for one that is
// not there, as env(1) and timeout(1) do.
package cli
