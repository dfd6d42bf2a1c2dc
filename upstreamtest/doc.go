// Package upstreamtest starts real upstreams on loopback, for scenarios and for the
// demonstration: a certificate authority, a name server that knows the upstreams
// and remembers what it was asked, and HTTP servers that remember what reached
// them. A test asserts on those memories: the bytes that left, not the verdict.
package upstreamtest
