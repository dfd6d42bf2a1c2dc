package dns

import (
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// TTL is how long a program may keep an answer. A route that is allowed or denied
// in the meantime changes no answer, so it bounds nothing but the pool.
const TTL = 60 * time.Second

// badVers is the extended code of an EDNS version that we do not speak (RFC 6891, section 6.1.3).
const badVers dnsmessage.RCode = 16

// answer decides what a query gets: a code, and an address or none.
func (s *Server) answer(q query) (dnsmessage.RCode, netip.Addr) {
	var none netip.Addr
	t := q.question.Type
	switch {
	case q.header.OpCode != 0:
		return dnsmessage.RCodeNotImplemented, none
	case q.badVers:
		return badVers, none
	case q.question.Class != dnsmessage.ClassINET, t == 0, t == dnsmessage.TypeOPT, firstQ <= t && t <= typeANY:
		return dnsmessage.RCodeRefused, none // ANY: RFC 8482
	}
	kind, host := classify(q.question.Name.String())
	switch {
	case kind == nonexistent:
		return dnsmessage.RCodeNameError, none
	case kind == loopback && t == dnsmessage.TypeA:
		return dnsmessage.RCodeSuccess, loopback4
	case kind == loopback && t == dnsmessage.TypeAAAA:
		return dnsmessage.RCodeSuccess, loopback6
	case kind == magic && t == dnsmessage.TypeA:
		return dnsmessage.RCodeSuccess, Magic
	case kind == ordinary && t == dnsmessage.TypeA:
		addr, ok := s.pool.Addr(host)
		if !ok {
			return dnsmessage.RCodeServerFailure, none
		}
		return dnsmessage.RCodeSuccess, addr
	}
	return dnsmessage.RCodeSuccess, none // the name exists and has no such record: no AAAA, no HTTPS or SVCB
}

// pack appends the response to buf. The question goes back as it came, letter
// case included (programs check it: draft-vixie-dnsext-dns0x20). An answer
// without a record carries an SOA, so that it is cached (RFC 2308).
func pack(buf []byte, q query, code dnsmessage.RCode, addr netip.Addr) ([]byte, error) {
	h := dnsmessage.Header{
		ID:                 q.header.ID,
		Response:           true,
		OpCode:             q.header.OpCode,
		Authoritative:      true,
		RecursionDesired:   q.header.RecursionDesired,
		RecursionAvailable: true, // or stub resolvers take an answer without records for a referral
		CheckingDisabled:   q.header.CheckingDisabled,
		RCode:              code & 0xf,
	}
	b := dnsmessage.NewBuilder(buf, h)
	b.EnableCompression()
	if q.question.Name.Length == 0 {
		return b.Finish()
	}
	if err := b.StartQuestions(); err != nil {
		return nil, err
	}
	if err := b.Question(q.question); err != nil {
		return nil, err
	}
	rr := dnsmessage.ResourceHeader{Name: q.question.Name, Class: dnsmessage.ClassINET, TTL: uint32(TTL / time.Second)}
	if err := b.StartAnswers(); err != nil {
		return nil, err
	}
	var err error
	switch {
	case addr.Is4():
		err = b.AResource(rr, dnsmessage.AResource{A: addr.As4()})
	case addr.Is6():
		err = b.AAAAResource(rr, dnsmessage.AAAAResource{AAAA: addr.As16()})
	case code == dnsmessage.RCodeSuccess, code == dnsmessage.RCodeNameError:
		if err = b.StartAuthorities(); err == nil {
			rr.Name = soa.NS
			err = b.SOAResource(rr, soa)
		}
	}
	if err != nil {
		return nil, err
	}
	if q.edns {
		var opt dnsmessage.ResourceHeader
		if err := opt.SetEDNS0(udpSize, code, false); err != nil {
			return nil, err
		}
		if err := b.StartAdditionals(); err != nil {
			return nil, err
		}
		if err := b.OPTResource(opt, dnsmessage.OPTResource{}); err != nil {
			return nil, err
		}
	}
	return b.Finish()
}

// soa is the start of the one zone there is: everything.
var soa = dnsmessage.SOAResource{
	NS:      dnsmessage.MustNewName("."),
	MBox:    dnsmessage.MustNewName("."),
	Serial:  1,
	Refresh: 3600, Retry: 600, Expire: 86400,
	MinTTL: uint32(TTL / time.Second),
}
