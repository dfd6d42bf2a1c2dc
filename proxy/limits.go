package proxy

import "time"

// Limits bound what one bottle can make the enforcer hold. A zero field takes its
// default.
type Limits struct {
	Connections       int           // open connections from the bottle; more are closed at once. Default 1024.
	Streams           uint32        // concurrent HTTP/2 requests a connection. Default 250.
	Resets            int           // HTTP/2 requests given up before their answer, for all connections; a tenth as many a second after that. Default 1000.
	Requests          int           // requests, WebSockets and opaque streams under way. Default 2048.
	HeaderBytes       int           // request line and header of a request, in bytes. Default 256 KiB.
	ResponseHeader    int64         // header of a response, in bytes. Default 1 MiB.
	HeaderFields      int           // header fields of a request. Default 500.
	TargetBytes       int           // request target, in bytes. Default 32 KiB.
	FirstByte         time.Duration // until the client says what it speaks. Default 30 s.
	Handshake         time.Duration // TLS with the client. Default 15 s.
	Header            time.Duration // until a request's header is complete. Default 30 s.
	Idle              time.Duration // a kept-alive client connection between requests. Default 5 min.
	Dial              time.Duration // resolution and connect. Default 15 s.
	UpstreamHandshake time.Duration // TLS with the upstream. Default 15 s.
	UpstreamResponse  time.Duration // from the request sent to the response's header. Default 15 min: model APIs think long.
	BodyIdle          time.Duration // a body without a byte in either direction. Default 15 min.
	WebSocketIdle     time.Duration // a WebSocket without a frame. Default 1 h.
	WebSocketFrame    uint64        // payload of a frame, in bytes. Default 64 MiB.
	Interim           int           // 1xx responses passed on for one request. Default 8.
}

func (l Limits) orDefaults() Limits {
	set(&l.Connections, 1024)
	set(&l.Streams, 250)
	set(&l.Resets, 1000)
	set(&l.Requests, 2048)
	set(&l.HeaderBytes, 256<<10)
	set(&l.ResponseHeader, 1<<20)
	set(&l.HeaderFields, 500)
	set(&l.TargetBytes, 32<<10)
	set(&l.FirstByte, 30*time.Second)
	set(&l.Handshake, 15*time.Second)
	set(&l.Header, 30*time.Second)
	set(&l.Idle, 5*time.Minute)
	set(&l.Dial, 15*time.Second)
	set(&l.UpstreamHandshake, 15*time.Second)
	set(&l.UpstreamResponse, 15*time.Minute)
	set(&l.BodyIdle, 15*time.Minute)
	set(&l.WebSocketIdle, time.Hour)
	set(&l.WebSocketFrame, 64<<20)
	set(&l.Interim, 8)
	return l
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
