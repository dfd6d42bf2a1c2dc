// Package h1 speaks HTTP/1.1 to upstreams over connections that are kept open.
//
// It does for the plainest requests, GET and HEAD without a body, what net/http's
// Transport does for all, with less work: the goroutine that asks writes the request
// and reads the response itself, where the Transport wakes two others for each.
// Framing is net/http's own: [http.Request.Write] and [http.ReadResponse].
//
// Without a goroutine that waits on an idle connection, nobody would notice what an
// upstream sends on it unasked, and the next request would take that for its response.
// So a connection is tried before it is used again: one on which there is anything to
// read, in the kernel or in the TLS layer, is closed.
package h1
