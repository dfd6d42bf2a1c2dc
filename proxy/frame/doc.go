// Package frame relays WebSocket frames (RFC 6455 section 5) from one side to the
// other, strictly.
//
// [Relay.Copy] reads frame by frame and forwards what it understood: an unknown
// opcode, a reserved bit nobody negotiated, a missing mask, an oversized control
// frame, a continuation of nothing or a close code that is none ends the connection
// with a [*Error], which carries the close code of section 7.4.1. Payloads stream
// through; a frame of any size needs a fixed buffer. Whether text is UTF-8 is the
// endpoints' to check.
//
// On the way the payload can be shown, unmasked, to an inspector, and an injected
// secret can be masked, wherever the frames cut it.
package frame
