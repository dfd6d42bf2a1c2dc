package proxy

import (
	"context"
	"net"
	"net/netip"
	"sync"

	"bottled/audit"
	"bottled/routes"
)

// flow is one connection from the bottle, or the inside of a CONNECT. It is the
// net.Conn below crypto/tls and the HTTP servers: it gives out the bytes that were peeked
// at first, and remembers what was read until the ClientHello is judged.
//
// Before it is handed to one of those one goroutine owns it; afterwards its decision
// fields are only read.
type flow struct {
	net.Conn
	dst     netip.AddrPort // where the program wanted to go
	name    routes.Host    // the name behind dst, when dst is synthetic; else zero
	magic   bool           // dst is the enforcer's own synthetic address
	process audit.Process

	connect *routes.Authority // the authority of the CONNECT around this flow
	tls     bool
	sni     routes.Host // judged name of the TLS server; set with tls
	hello   routes.Decision

	pending  []byte // read and not yet given out
	recorded []byte // given out while recording
	record   bool
	mute     bool // writes are dropped: the handshake is somebody else's

	once    sync.Once
	release func() // gives the connection's place back
}

type flowKey struct{}

func flowOf(ctx context.Context) *flow {
	f, _ := ctx.Value(flowKey{}).(*flow)
	return f
}

// port is the port the program connected to, or that of the CONNECT.
func (f *flow) port() uint16 {
	if f.connect != nil {
		return f.connect.Port
	}
	return f.dst.Port()
}

func (f *flow) Read(p []byte) (int, error) {
	var n int
	var err error
	if len(f.pending) > 0 {
		n = copy(p, f.pending)
		if f.pending = f.pending[n:]; len(f.pending) == 0 {
			f.pending = nil
		}
	} else {
		n, err = f.Conn.Read(p)
	}
	if f.record {
		f.recorded = append(f.recorded, p[:n]...)
	}
	return n, err
}

func (f *flow) Write(p []byte) (int, error) {
	if f.mute {
		return len(p), nil
	}
	return f.Conn.Write(p)
}

// rewind makes what was recorded readable again and ends the recording.
func (f *flow) rewind() {
	f.pending = append(f.recorded, f.pending...)
	f.forget()
	f.mute = false
}

func (f *flow) forget() { f.record, f.recorded = false, nil }

func (f *flow) Close() error {
	err := f.Conn.Close()
	f.once.Do(f.release)
	return err
}

// SetLinger is that of TCP: with 0, Close sends a RST.
func (f *flow) SetLinger(seconds int) error {
	if tcp, ok := f.Conn.(interface{ SetLinger(int) error }); ok {
		return tcp.SetLinger(seconds)
	}
	return nil
}

// CloseWrite sends a FIN and leaves the other direction open.
func (f *flow) CloseWrite() error {
	if half, ok := f.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
