package upstreamtest

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// Proxy is a proxy that takes CONNECT and remembers what it was sent.
type Proxy struct {
	Addr netip.AddrPort
	// Lead says where an authority (host:port) really is, as an address to dial.
	Lead func(authority string) string
	// Answer answers in the place of a tunnel where it is not nil and reports true.
	// head is what was sent, up to and with its empty line.
	Answer func(c net.Conn, head string) bool

	listener net.Listener
	tls      *tls.Config // nil: it is spoken to in the clear

	mu    sync.Mutex
	heads []string
	open  map[net.Conn]bool
	work  sync.WaitGroup
}

// NewProxy starts a proxy on address; with an authority it is spoken to in TLS, and
// authentic for names. Lead and Answer are set before the first connection.
func NewProxy(address string, authority *Authority, names ...string) (*Proxy, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	p := &Proxy{Addr: l.Addr().(*net.TCPAddr).AddrPort(), listener: l, open: make(map[net.Conn]bool)}
	if authority != nil {
		leaf, err := authority.Leaf(names...)
		if err != nil {
			l.Close()
			return nil, err
		}
		p.tls = &tls.Config{Certificates: []tls.Certificate{leaf}}
	}
	p.work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.keep(c)
			p.work.Go(func() { p.serve(c) })
		}
	})
	return p, nil
}

// TLS reports whether the proxy is spoken to in TLS.
func (p *Proxy) TLS() bool { return p.tls != nil }

// Heads returns the requests so far, byte for byte.
func (p *Proxy) Heads() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.heads)
}

// Cut closes every connection.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		c.Close()
	}
	clear(p.open)
}

// Close ends the proxy and its connections.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.Cut()
	p.work.Wait()
	return err
}

func (p *Proxy) keep(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[c] = true
}

func (p *Proxy) serve(c net.Conn) {
	defer c.Close()
	if p.tls != nil {
		c = tls.Server(c, p.tls)
	}
	in := bufio.NewReader(c)
	head := readHead(in)
	p.mu.Lock()
	p.heads = append(p.heads, head)
	p.mu.Unlock()
	if p.Answer != nil && p.Answer(c, head) {
		return
	}
	authority, ok := strings.CutPrefix(head, "CONNECT ")
	if !ok || !strings.HasSuffix(head, "\r\n\r\n") {
		io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
		return
	}
	authority, _, _ = strings.Cut(authority, " ")
	up, err := net.Dial("tcp", p.Lead(authority))
	if err != nil {
		io.WriteString(c, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
		return
	}
	defer up.Close()
	p.keep(up)
	if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"); err == nil {
		join(c, in, up.(*net.TCPConn))
	}
}

// readHead returns what comes up to the first empty line, or all there is.
func readHead(in *bufio.Reader) string {
	var head strings.Builder
	for !strings.HasSuffix(head.String(), "\r\n\r\n") {
		b, err := in.ReadByte()
		if err != nil {
			break
		}
		head.WriteByte(b)
	}
	return head.String()
}

// join copies both ways, each to its own end.
func join(c net.Conn, in io.Reader, up *net.TCPConn) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(up, in)
		up.CloseWrite()
	}()
	io.Copy(c, up)
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	<-done
}
