package upstreamtest

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// NameServer is a DNS server over UDP that knows the upstreams' names.
type NameServer struct {
	conn *net.UDPConn

	mu      sync.Mutex
	addrs   map[string][]netip.Addr
	aliases map[string]string
	asked   []string
}

// NewNameServer starts a name server on loopback.
func NewNameServer() (*NameServer, error) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	s := &NameServer{conn: conn, addrs: make(map[string][]netip.Addr), aliases: make(map[string]string)}
	go s.serve()
	return s, nil
}

// Addr is what the daemon takes as its resolver.
func (s *NameServer) Addr() string { return s.conn.LocalAddr().String() }

// Set makes name have addrs, of either family.
func (s *NameServer) Set(name string, addrs ...netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name = strings.ToLower(name)
	s.addrs[name] = addrs
	delete(s.aliases, name)
}

// Alias makes name an alias of another (CNAME), until Set. A loop is not followed.
func (s *NameServer) Alias(name, to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aliases[strings.ToLower(name)] = strings.ToLower(to)
}

// Asked returns every name that was asked for, in order, once per question.
func (s *NameServer) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// Close stops the server.
func (s *NameServer) Close() error { return s.conn.Close() }

func (s *NameServer) serve() {
	buf := make([]byte, 4096)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if answer, err := s.answer(buf[:n]); err == nil {
			_, _ = s.conn.WriteToUDPAddrPort(answer, from)
		}
	}
}

func (s *NameServer) answer(query []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil || len(m.Questions) != 1 {
		return nil, errMalformed
	}
	q := m.Questions[0]
	name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	s.mu.Lock()
	s.asked = append(s.asked, name)
	var chain []string
	for to, ok := s.aliases[name]; ok && len(chain) < 8; to, ok = s.aliases[to] {
		chain = append(chain, to)
		name = to
	}
	addrs, known := s.addrs[name]
	s.mu.Unlock()
	reply := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: m.ID, Response: true, RecursionDesired: m.RecursionDesired, RecursionAvailable: true},
		Questions: m.Questions,
	}
	if !known {
		reply.RCode = dnsmessage.RCodeNameError
	}
	owner := q.Name
	for _, to := range chain {
		target, err := dnsmessage.NewName(to + ".")
		if err != nil {
			return nil, err
		}
		header := dnsmessage.ResourceHeader{Name: owner, Class: q.Class, TTL: 1}
		reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.CNAMEResource{CNAME: target}})
		owner = target
	}
	for _, a := range addrs {
		header := dnsmessage.ResourceHeader{Name: owner, Class: q.Class, TTL: 1}
		switch {
		case a.Is4() && q.Type == dnsmessage.TypeA:
			reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: a.As4()}})
		case a.Is6() && q.Type == dnsmessage.TypeAAAA:
			reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	return reply.Pack()
}
