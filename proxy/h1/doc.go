// Package h1 speaks HTTP/1 on both sides of the enforcer: [Server] to the programs of a
// bottle, [Pool] to upstreams. It does what net/http does with less work for each
// request: the goroutine that has a connection reads, asks and writes itself, where
// net/http wakes others, and a head is one string, read once.
//
// The Server reads strictly: what another recipient could read in a second way is no
// request (request.go). It watches for a client that goes away only while a request
// takes its time (watch.go). Handlers, requests and responses are those of net/http, so
// that one handler serves HTTP/1 and HTTP/2.
//
// The Pool writes a small body, which is there already, with its head; a longer one has
// a goroutine, and the upstream may answer before it ends. Without a goroutine that waits
// on an idle connection, nobody would notice what an upstream sends on it
// unasked, and the next request would take that for its response. So a connection is
// tried before it is used again: one on which there is anything to read, in the kernel
// or in the TLS layer, is closed.
package h1
