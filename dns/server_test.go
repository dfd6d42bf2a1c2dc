package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ask sends a query over conn and returns the response.
func ask(conn net.Conn, msg []byte) (dnsmessage.Message, error) {
	var m dnsmessage.Message
	conn.SetDeadline(time.Now().Add(3 * time.Second))
	_, stream := conn.(*net.TCPConn)
	if stream {
		msg = append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
	}
	if _, err := conn.Write(msg); err != nil {
		return m, err
	}
	buf := make([]byte, 2048)
	if stream {
		b, err := readFrame(conn, buf)
		if err != nil {
			return m, err
		}
		return m, m.Unpack(b)
	}
	n, err := conn.Read(buf)
	if err != nil {
		return m, err
	}
	return m, m.Unpack(buf[:n])
}

// newQuery packs a query for name.
func newQuery(name string, t dnsmessage.Type) []byte {
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 0xabcd, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: t, Class: dnsmessage.ClassINET}},
	}
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

// resolver is the resolver of Go's net package, asking server in ns.
func resolver(ns *namespace, server string, network string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(_ context.Context, n, _ string) (net.Conn, error) {
		if network != "" {
			n = network
		}
		return ns.dial(n, server)
	}}
}

// TestAnyResolverAddress asks servers that are nowhere, of both families and over
// both transports, through a real resolver: each answer has to come from the
// address that was asked, or the resolver would not take it.
func TestAnyResolverAddress(t *testing.T) {
	ns := newNamespace(t)
	pool := NewPool()
	var mu sync.Mutex
	var seen []string
	ns.serve(t, NewServer(pool, func(q Query) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, q.Server.String()+" "+q.Name+" "+q.Type+" "+q.Code)
	}))
	want := map[string]netip.Addr{}
	for _, server := range []string{"8.8.8.8:53", "10.1.2.3:53", "127.0.0.53:53", "100.64.0.2:53", "[2001:4860:4860::8888]:53", "[fd00::1]:53", "[::1]:53"} {
		for _, network := range []string{"udp", "tcp"} {
			r := resolver(ns, server, network)
			for _, name := range []string{"api.example.com", "Denied.Example.ORG."} {
				addrs, err := r.LookupNetIP(t.Context(), "ip", name)
				if err != nil || len(addrs) != 1 {
					t.Fatalf("%s %s: %s: %v, %v; want one address", server, network, name, addrs, err)
				}
				addr := addrs[0].Unmap()
				if old, ok := want[name]; ok && old != addr {
					t.Errorf("%s: %v now, %v before", name, addr, old)
				}
				want[name] = addr
				host, ok := pool.Name(addr)
				if canon := strings.ToLower(strings.TrimSuffix(name, ".")); !ok || host.String() != canon {
					t.Errorf("pool.Name(%v) = %q, %v; want %q", addr, host, ok, canon)
				}
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, line := range []string{"8.8.8.8:53 api.example.com A NOERROR", "[fd00::1]:53 denied.example.org AAAA NOERROR"} {
		if !slices.Contains(seen, line) {
			t.Errorf("the server was not seen to answer %q", line)
		}
	}
}

func TestNames(t *testing.T) {
	s := NewServer(NewPool(), nil)
	defer s.Close()
	long := strings.Repeat("a", 63)
	for _, tt := range []struct {
		name string
		t    dnsmessage.Type
		want string
	}{
		{"_egress-proxy.local.", dnsmessage.TypeA, "NOERROR 198.18.0.1"},
		{"_EGRESS-proxy.Local.", dnsmessage.TypeA, "NOERROR 198.18.0.1"},
		{"egress-proxy.", dnsmessage.TypeA, "NOERROR 198.18.0.1"},
		{"egress-proxy.", dnsmessage.TypeAAAA, "NOERROR SOA"},
		{"x.egress-proxy.", dnsmessage.TypeA, "NXDOMAIN SOA"},
		{"localhost.", dnsmessage.TypeA, "NOERROR 127.0.0.1"},
		{"localhost.", dnsmessage.TypeAAAA, "NOERROR ::1"},
		{"app.LocalHost.", dnsmessage.TypeA, "NOERROR 127.0.0.1"},
		{"localhost.", dnsmessage.TypeMX, "NOERROR SOA"},
		{"notlocalhost.", dnsmessage.TypeA, "NXDOMAIN SOA"},
		{"github.com.", dnsmessage.TypeA, "NOERROR 198.18.1.0"},
		{"gitHUB.com.", dnsmessage.TypeA, "NOERROR 198.18.1.0"},
		{"github.com.", dnsmessage.TypeAAAA, "NOERROR SOA"},
		{"github.com.", dnsmessage.TypeHTTPS, "NOERROR SOA"},
		{"github.com.", dnsmessage.TypeSVCB, "NOERROR SOA"},
		{"github.com.", dnsmessage.TypeTXT, "NOERROR SOA"},
		{"github.com.", dnsmessage.TypeALL, "REFUSED"},
		{"github.com.", dnsmessage.TypeAXFR, "REFUSED"},
		{"github.com.", dnsmessage.TypeOPT, "REFUSED"},
		{"github.com.", 0, "REFUSED"},
		{"db.", dnsmessage.TypeA, "NXDOMAIN SOA"},
		{".", dnsmessage.TypeNS, "NOERROR SOA"},
		{"8.8.8.8.in-addr.arpa.", dnsmessage.TypePTR, "NXDOMAIN SOA"},
		{"1.0.0.0.ip6.arpa.", dnsmessage.TypePTR, "NXDOMAIN SOA"},
		{"_dns.resolver.arpa.", dnsmessage.TypeSVCB, "NXDOMAIN SOA"},
		{"use-application-dns.net.", dnsmessage.TypeA, "NXDOMAIN SOA"},
		{"abc.onion.", dnsmessage.TypeA, "NXDOMAIN SOA"},
		{"127.0.0.1.", dnsmessage.TypeA, "NXDOMAIN SOA"},
		{"*.example.com.", dnsmessage.TypeA, "NXDOMAIN SOA"},
		{"a\x00b.example.com.", dnsmessage.TypeA, "NXDOMAIN SOA"},
		{"a/b.example.com.", dnsmessage.TypeA, "NXDOMAIN SOA"},
		{"münchen.example.", dnsmessage.TypeA, "NXDOMAIN SOA"},
		{long + "." + long + "." + long + "." + long[:60] + "a" + ".", dnsmessage.TypeA, "NOERROR 198.18.1.1"},
		{"api.home.arpa.", dnsmessage.TypeA, "NOERROR 198.18.1.2"},
		{"db.svc.cluster.local.", dnsmessage.TypeA, "NOERROR 198.18.1.3"},
	} {
		got := exchange(t, s, newQuery(tt.name, tt.t))
		if got.text != tt.want {
			t.Errorf("%q %v: %s; want %s", tt.name, tt.t, got.text, tt.want)
		}
		if got.Questions[0].Name.String() != tt.name {
			t.Errorf("%q: the question came back as %q", tt.name, got.Questions[0].Name)
		}
	}
}

// response is a message and what it says, in short.
type response struct {
	dnsmessage.Message
	text string
}

// exchange gives msg to the server and checks what every response has to keep to.
func exchange(t *testing.T, s *Server, msg []byte) response {
	t.Helper()
	b := s.respond(nil, msg, netip.AddrPort{}, netip.AddrPort{})
	if b == nil {
		return response{text: "nothing"}
	}
	if len(b) > 512 {
		t.Errorf("a response of %d bytes; even without EDNS it has to fit", len(b))
	}
	var m dnsmessage.Message
	if err := m.Unpack(b); err != nil {
		t.Fatalf("response: %v", err)
	}
	if m.ID != binary.BigEndian.Uint16(msg) || !m.Response {
		t.Errorf("header %+v does not answer the query", m.Header)
	}
	code := m.RCode
	for _, a := range m.Additionals {
		code = a.Header.ExtendedRCode(m.RCode)
		if opt := a.Body.(*dnsmessage.OPTResource); len(opt.Options) > 0 {
			t.Errorf("EDNS options came back: %v", opt.Options)
		}
	}
	text := codeName(code)
	for _, a := range m.Answers {
		if a.Header.TTL == 0 || a.Header.TTL > 60 {
			t.Errorf("TTL %d", a.Header.TTL)
		}
		switch body := a.Body.(type) {
		case *dnsmessage.AResource:
			text += " " + netip.AddrFrom4(body.A).String()
		case *dnsmessage.AAAAResource:
			text += " " + netip.AddrFrom16(body.AAAA).String()
		default:
			t.Errorf("answer %v", a)
		}
	}
	if len(m.Authorities) > 0 {
		text += " SOA"
	}
	return response{m, text}
}

func TestHostileMessages(t *testing.T) {
	s := NewServer(NewPool(), nil)
	defer s.Close()
	ok := newQuery("a.example.com.", dnsmessage.TypeA)
	edit := func(f func(b []byte) []byte) []byte { return f(slices.Clone(ok)) }
	opt := func(ttl uint32, options ...byte) []byte {
		b := edit(func(b []byte) []byte { b[11] = 1; return b })
		b = append(b, 0, 0, 41, 0xff, 0xff)
		b = binary.BigEndian.AppendUint32(b, ttl)
		b = binary.BigEndian.AppendUint16(b, uint16(len(options)))
		return append(b, options...)
	}
	for _, tt := range []struct {
		name string
		msg  []byte
		want string
	}{
		{"control", ok, "NOERROR 198.18.1.0"},
		{"EDNS", opt(0), "NOERROR 198.18.1.0"},
		{"EDNS with a cookie and client subnet", opt(0x8000, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 8, 0, 4, 0, 1, 0, 0), "NOERROR 198.18.1.0"},
		{"EDNS version 1", opt(0x10000), "BADVERS"},
		{"truncated EDNS option", opt(0, 0, 10, 0, 8)[:len(ok)+11+3], "FORMERR"},
		{"two OPT records", edit(func(b []byte) []byte {
			b[11] = 2
			return append(b, 0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0)
		}), "FORMERR"},
		{"no header", ok[:11], "nothing"},
		{"a response", edit(func(b []byte) []byte { b[2] |= 0x80; return b }), "nothing"},
		{"opcode STATUS", edit(func(b []byte) []byte { b[2] |= 2 << 3; return b }), "NOTIMP"},
		{"opcode UPDATE", edit(func(b []byte) []byte { b[2] |= 5 << 3; return b }), "NOTIMP"},
		{"class CHAOS", edit(func(b []byte) []byte { b[len(b)-1] = 3; return b }), "REFUSED"},
		{"class ANY", edit(func(b []byte) []byte { b[len(b)-1] = 255; return b }), "REFUSED"},
		{"QDCOUNT 0", edit(func(b []byte) []byte { b[5] = 0; return b }), "FORMERR"},
		{"QDCOUNT 0, nothing else", edit(func(b []byte) []byte { b[5] = 0; return b[:12] }), "FORMERR"},
		{"QDCOUNT 2", edit(func(b []byte) []byte { b[5] = 2; return append(b, b[12:]...) }), "FORMERR"},
		{"QDCOUNT 65535", edit(func(b []byte) []byte { b[4], b[5] = 255, 255; return b }), "FORMERR"},
		{"ANCOUNT 1", edit(func(b []byte) []byte {
			b[7] = 1
			return append(b, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4)
		}), "FORMERR"},
		{"NSCOUNT 1", edit(func(b []byte) []byte { b[9] = 1; return b }), "FORMERR"},
		{"TSIG in place of OPT", edit(func(b []byte) []byte {
			b[11] = 1
			return append(b, 0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 0)
		}), "FORMERR"},
		{"bytes after the message", append(slices.Clone(ok), 0), "FORMERR"},
		{"truncated question", ok[:len(ok)-1], "FORMERR"},
		{"name that points at itself", append(ok[:12:12], 0xc0, 12, 0, 1, 0, 1), "FORMERR"},
		{"name that points forward", append(ok[:12:12], 0xc0, 20, 0, 1, 0, 1, 1, 'a', 0), "FORMERR"},
		{"name that points into the header", append(ok[:12:12], 1, 'a', 0xc0, 4, 0, 1, 0, 1), "FORMERR"},
		{"label with a dot in it", append(ok[:12:12], 3, 'a', '.', 'b', 3, 'c', 'o', 'm', 0, 0, 1, 0, 1), "FORMERR"},
		{"label type 0x40", append(ok[:12:12], 0x41, 'a', 0, 0, 1, 0, 1), "FORMERR"},
		{"name of 256 bytes", append(append(ok[:12:12], []byte(strings.Repeat("\x3f"+strings.Repeat("a", 63), 4))...), 0, 0, 1, 0, 1), "FORMERR"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := exchange(t, s, tt.msg); got.text != tt.want {
				t.Errorf("%s; want %s", got.text, tt.want)
			}
		})
	}
}

// TestPipelining sends queries over one TCP connection without reading in between,
// in odd pieces.
func TestPipelining(t *testing.T) {
	ns := newNamespace(t)
	ns.serve(t, NewServer(NewPool(), nil))
	conn, err := ns.dial("tcp", "9.9.9.9:53")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var stream []byte
	for i := range 50 {
		q := newQuery("a.example.com.", dnsmessage.TypeA)
		q[0], q[1] = 0, byte(i)
		stream = append(binary.BigEndian.AppendUint16(stream, uint16(len(q))), q...)
	}
	for piece := range slices.Chunk(stream, 7) {
		if _, err := conn.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 2048)
	for i := range 50 {
		b, err := readFrame(conn, buf)
		if err != nil || b[1] != byte(i) {
			t.Fatalf("answer %d: %x, %v", i, b, err)
		}
	}
}

// TestStreamBounds opens more connections than a server takes, and sends a frame
// that is too long.
func TestStreamBounds(t *testing.T) {
	ns := newNamespace(t)
	ns.serve(t, NewServer(NewPool(), nil))
	dial := func() net.Conn {
		conn, err := ns.dial("tcp", "9.9.9.9:53")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	q := newQuery("a.example.com.", dnsmessage.TypeA)
	for i := range MaxStreams {
		if _, err := ask(dial(), q); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	over := dial()
	if _, err := ask(over, q); err == nil {
		t.Errorf("connection %d was served", MaxStreams+1)
	}
	udp, err := ns.dial("udp", "9.9.9.9:53")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	if _, err := ask(udp, q); err != nil {
		t.Errorf("UDP, while TCP is full: %v", err)
	}
}

func TestOversizedFrame(t *testing.T) {
	ns := newNamespace(t)
	ns.serve(t, NewServer(NewPool(), nil))
	conn, err := ns.dial("tcp", "9.9.9.9:53")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(3 * time.Second))
	conn.Write(binary.BigEndian.AppendUint16(nil, maxMessage+1))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("after a frame of %d bytes was announced: %v; want EOF", maxMessage+1, err)
	}
}

func TestServeAfterClose(t *testing.T) {
	s := NewServer(NewPool(), nil)
	s.Close()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ServePacket(conn); err != nil {
		t.Errorf("ServePacket = %v", err)
	}
	if _, err := conn.Write(nil); !errors.Is(err, net.ErrClosed) {
		t.Error("a closed server left the socket that it was given open")
	}
}
