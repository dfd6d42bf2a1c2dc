// Package proxy is the data plane of a bottle: it takes every TCP connection that
// a bottle opens, lets through what the route table allows, and answers the rest.
//
// A connection is a flow (flow.go). Its local address is where the program wanted
// to go; that address is never dialled on behalf of a name. What is spoken is
// told from the first bytes (package sniff), TLS is ended with the bottle's own
// authority (tls.go), and a server reads requests: package h1, or net/http for HTTP/2.
//
// A request is an exchange (exchange.go). It is read once into one
// [routes.Query] (judge.go): the same value is judged, audited, dialled and sent
// as Host. What was allowed passes through goproxy as request and response
// pipeline (pipeline.go): credential headers are replaced (inject.go),
// hop-by-hop fields go (headers.go), the response is scrubbed of the credential
// (response.go) and flushed as it arrives (writer.go). Connections to upstreams
// are opened by package gate alone, which holds its own copy of the allowed
// hosts and checks each address.
//
// A denied request is answered inside TLS, with a status and a short JSON object
// that says what was refused, why, and what to do ([Refusal]).
//
// Everything fails closed: no table, no credential, no name, an unknown protocol
// or an error in any step denies. Everything is bounded by [Limits].
package proxy
