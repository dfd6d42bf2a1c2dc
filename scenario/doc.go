// Package scenario holds the program to its promise as people meet it: the real
// binary, its daemon and its command line, real programs in real bottles, and
// upstreams that remember what reached them. It has nothing but tests.
//
//	trust_test.go      every program takes the bottle's certificates without a flag
//	registry_test.go   npm, go, pip, cargo, mvn and apt-get fetch from where this host's own do
//	git_test.go        clone and push with a password that the bottle never sees
//	route_test.go      hosts, paths, ports, credentials, and what is refused
//	stream_test.go     bytes in time, in bulk and in both directions
//	tunnel_test.go     explicit proxy use, opaque TCP, TLS passed through
//	name_test.go       what resolvers see
//	browser_test.go    a browser with a sandbox of its own, and what that opens
//	terminal_test.go   exit statuses, pipes, terminals, signals
//	user_test.go       people who are not root
//	restart_test.go    a daemon that is killed
//
// Everything runs as root, with traffic to loopback alone, but for registry_test.go.
package scenario
