package dns

import (
	"bytes"
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// FuzzRespond feeds the responder whatever comes. It must not panic, must answer
// no response, and must give out addresses of its own alone.
func FuzzRespond(f *testing.F) {
	f.Add(newQuery("a.example.com.", dnsmessage.TypeA))
	f.Add(newQuery("localhost.", dnsmessage.TypeAAAA))
	f.Add(append(newQuery("_egress-proxy.local.", dnsmessage.TypeA), 0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0))
	f.Add(append(newQuery("a.", dnsmessage.TypeA)[:12], 0xc0, 12, 0, 1, 0, 1))
	f.Add(append(newQuery("a.", dnsmessage.TypeA)[:12], 3, 'a', '.', 'b', 0, 0, 1, 0, 1))
	own := []netip.Prefix{
		netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128"),
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		s := NewServer(NewPool(), func(q Query) {
			if len(q.Name) > 254 {
				t.Errorf("a name of %d bytes is observed", len(q.Name))
			}
		})
		defer s.Close()
		out := s.respond(nil, msg, netip.AddrPort{}, netip.AddrPort{})
		if out == nil {
			return
		}
		if len(msg) < headerLen || msg[2]&0x80 != 0 {
			t.Fatal("answered what is no query")
		}
		var m dnsmessage.Message
		if err := m.Unpack(out); err != nil {
			t.Fatalf("response does not parse: %v", err)
		}
		if !bytes.Equal(out[:2], msg[:2]) || !m.Response || len(out) > 512 {
			t.Fatalf("response %x to %x", out, msg)
		}
		for _, a := range m.Answers {
			var addr netip.Addr
			switch body := a.Body.(type) {
			case *dnsmessage.AResource:
				addr = netip.AddrFrom4(body.A)
			case *dnsmessage.AAAAResource:
				addr = netip.AddrFrom16(body.AAAA)
			}
			if !own[0].Contains(addr) && !own[1].Contains(addr) && !own[2].Contains(addr) {
				t.Fatalf("answer %v", a)
			}
		}
		// What was answered with a record was spelt in the one way there is.
		if len(m.Answers) > 0 && !bytes.HasPrefix(msg[headerLen:], out[headerLen:headerLen+wireLen(m.Questions[0].Name)]) {
			t.Fatalf("the question %x came back as %x", msg, out)
		}
	})
}

func BenchmarkRespond(b *testing.B) {
	s := NewServer(NewPool(), nil)
	defer s.Close()
	msg, buf := newQuery("api.example.com.", dnsmessage.TypeA), make([]byte, 0, udpSize)
	b.ReportAllocs()
	for b.Loop() {
		if s.respond(buf, msg, netip.AddrPort{}, netip.AddrPort{}) == nil {
			b.Fatal("no response")
		}
	}
}
