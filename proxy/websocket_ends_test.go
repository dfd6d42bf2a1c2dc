package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"bottled/proxy"
	"bottled/routes"
)

// piece is one frame: its first byte (FIN, RSV, opcode) and its payload.
type piece struct {
	first   byte
	payload []byte
}

// end is one end of a WebSocket. Nothing checks what it sends.
type end struct {
	*tls.Conn
	in     *bufio.Reader
	client bool // masks its frames
}

var maskStream = bytes.Repeat([]byte{0xa1, 0x02, 0x73, 0x4c}, 16<<10)

// frames writes pieces as this end sends them (RFC 6455 section 5.2).
func (e *end) frames(pieces ...piece) []byte {
	var out []byte
	for _, p := range pieces {
		bit := byte(0)
		if e.client {
			bit = 0x80
		}
		switch n := len(p.payload); {
		case n < 126:
			out = append(out, p.first, bit|byte(n))
		case n < 1<<16:
			out = binary.BigEndian.AppendUint16(append(out, p.first, bit|126), uint16(n))
		default:
			out = binary.BigEndian.AppendUint64(append(out, p.first, bit|127), uint64(n))
		}
		if e.client {
			out = append(out, maskStream[:4]...)
		}
		at := len(out)
		out = append(out, p.payload...)
		for part := out[at:]; e.client && len(part) > 0; {
			part = part[subtle.XORBytes(part, part, maskStream):]
		}
	}
	return out
}

// carried sends wire from one end and returns an error unless the other gets exactly
// these bytes.
func carried(from, to *end, wire []byte) error {
	wrote := make(chan error, 1)
	go func() {
		_, err := from.Write(wire)
		wrote <- err
	}()
	got := make([]byte, len(wire))
	n, err := io.ReadFull(to.in, got)
	if err != nil {
		from.NetConn().Close()
		<-wrote
		return fmt.Errorf("%d of %d bytes arrived: %.60q: %w", n, len(wire), got[:n], err)
	}
	if err := <-wrote; err != nil {
		return err
	}
	if !bytes.Equal(got, wire) {
		return fmt.Errorf("%.60q arrived as %.60q", wire, got)
	}
	return nil
}

// abort ends the connection with a RST, or with a FIN that no close_notify came before.
func (e *end) abort(reset bool) {
	if reset {
		e.NetConn().(interface{ SetLinger(int) error }).SetLinger(0)
	}
	e.NetConn().Close()
}

// passing is a Scanner that finds nothing and counts what it saw.
type passing struct{ seen atomic.Int64 }

func (p *passing) Scan(routes.Query, *routes.Route, http.Header) (proxy.Scan, *proxy.Blocked) {
	return p, nil
}
func (*passing) Body(src io.Reader, _ int64, _ func() http.Header) io.Reader { return src }
func (p *passing) Frame(_ byte, _ bool, b []byte) *proxy.Blocked {
	p.seen.Add(int64(len(b)))
	return nil
}
func (*passing) Close() []proxy.Finding { return nil }

// leg is a way from a client to its WebSocket upstream.
type leg struct {
	name      string
	injecting bool
	scanner   *passing // nil: none
	straight  bool     // nobody between the two
	world     *world
	accepted  chan *end
	address   string
}

// legs are the ways through a Server, each with its own, and last the straight one.
func legs(t *testing.T) []*leg {
	all := []*leg{
		{name: "bare"}, {name: "injecting", injecting: true}, {name: "scanned", scanner: new(passing)},
		{name: "injecting, scanned", injecting: true, scanner: new(passing)}, {name: "straight", straight: true},
	}
	for _, l := range all {
		table := bareAPI
		if l.injecting {
			table = injecting
		}
		l.world = newWorld(t, table, func(_ *world, c *proxy.Config) {
			if l.scanner != nil {
				c.Scanner = l.scanner
			}
		})
		l.accepted = make(chan *end, 1)
		l.address = l.world.upstream(l.accept, "api.example.com").Addr.String()
	}
	return all
}

// accept upgrades and gives the connection out.
func (l *leg) accept(rw http.ResponseWriter, r *http.Request) {
	if got, want := r.Header.Get("Authorization") != "", l.injecting; got != want {
		l.world.t.Errorf("%s: Authorization at the upstream is %v, want %v", l.name, got, want)
	}
	c, buf, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		l.world.t.Error(err)
		return
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "+
		base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
	l.accepted <- &end{Conn: c.(*tls.Conn), in: buf.Reader}
}

// open shakes hands and returns both ends, which the end of the test closes. Whatever
// they wait for fails after 15 seconds.
func (l *leg) open(t *testing.T) (client, up *end) {
	t.Helper()
	var c *tls.Conn
	if l.straight {
		tcp, err := net.Dial("tcp", l.address)
		if err != nil {
			t.Fatal(err)
		}
		c = tls.Client(tcp, &tls.Config{InsecureSkipVerify: true})
	} else {
		c = l.world.tls("api.example.com", 443, "http/1.1")
	}
	t.Cleanup(func() { c.NetConn().Close() })
	c.SetDeadline(time.Now().Add(15 * time.Second))
	io.WriteString(c, handshake)
	in := bufio.NewReader(c)
	if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%s: %v, %v", l.name, resp, err)
	}
	up = <-l.accepted
	t.Cleanup(func() { up.NetConn().Close() })
	up.SetDeadline(time.Now().Add(15 * time.Second))
	return &end{c, in, true}, up
}
