// Package mcp is what an agent in a bottle may ask of its supervisor: four tools
// over the Model Context Protocol, at http://_egress-proxy.local/mcp.
//
//	list-egress-proxy-routes   the live route table; needs no approval
//	egress-proxy-block         propose a route, after a 403
//	pipelock-block             propose an exemption, after the scanner said no
//	capability-block           propose a change of the bottle itself
//
// A [Server] is an [http.Handler] of the enforcer; a [Relay] offers the same tools
// on standard input and output, for agents that start their servers as commands,
// and passes every call on. The tools are in tools.json, word for word as an agent
// sees them, and do not change while a bottle runs.
//
// # Who asks
//
// A call belongs to the bottle whose listener it came in by. Nothing in it says
// otherwise: there is no login, and no tool takes the name of a bottle. The server
// is stateless (MCP 2026-07-28, and the stateless mode of earlier revisions), so
// there is no session that could be guessed, fixed or taken over, and no stream
// that could be resumed by somebody else: each POST is answered in its own
// response, and a request that names a session is refused.
//
// # What can go wrong, cannot
//
// No tool decides anything. The [Supervisor] a Server works over can take a
// proposal and look at its state; approving is not among its methods.
//
// The SDK behind the server never sees the bytes that a bottle sent. A request is
// first read by a parser of our own (message), which knows no key in two cases or
// twice, and what that parser understood is written anew for the SDK: two parsers
// cannot disagree about one message. Size, depth, and the number of calls at a
// time are bounded.
package mcp
