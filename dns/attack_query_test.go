package dns

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"bottled/attack"

	"golang.org/x/net/dns/dnsmessage"
)

// Questions that are for a server that knows more than addresses, or does more than
// answer: none gets anything.
func TestAttackQuestions(t *testing.T) {
	s := NewServer(NewPool(), nil)
	defer s.Close()
	good := newQuery("a.example.com.", dnsmessage.TypeA)
	changed := func(change func(m []byte)) []byte {
		m := append([]byte(nil), good...)
		change(m)
		return m
	}
	code := func(code uint16) []byte { // of an operation: four bits of the flags (RFC 1035 section 4.1.1)
		return changed(func(m []byte) { m[2] = m[2]&^0x78 | byte(code<<3) })
	}
	class := func(class uint16) []byte {
		return changed(func(m []byte) { binary.BigEndian.PutUint16(m[len(m)-2:], class) })
	}
	probe := func(msg []byte) attack.Probe {
		return func(t *testing.T) error {
			got := exchange(t, s, msg)
			if len(got.Answers) > 0 { // an SOA beside none says how long that holds (RFC 2308)
				return nil
			}
			if next := exchange(t, s, newQuery("next.example.com.", dnsmessage.TypeA)); len(next.Answers) != 1 {
				return nil
			}
			return errors.New(got.text + ", and the next query was served")
		}
	}
	for name, msg := range map[string][]byte{
		"a transfer of the zone":      newQuery("example.com.", 252),
		"a transfer of what changed":  newQuery("example.com.", 251),
		"everything there is":         newQuery("a.example.com.", dnsmessage.TypeALL),
		"the zone's own name servers": newQuery("example.com.", dnsmessage.TypeNS),
		"where mail goes":             newQuery("example.com.", dnsmessage.TypeMX),
		"services":                    newQuery("_ldap._tcp.example.com.", dnsmessage.TypeSRV),
		"keys of other services":      newQuery("a.example.com.", dnsmessage.TypeSVCB),
		"a name for an address":       newQuery("1.1.18.198.in-addr.arpa.", dnsmessage.TypePTR),
		"a type that nobody knows":    newQuery("a.example.com.", 65280),
		"the class of CHAOS":          class(3),
		"any class":                   class(255),
		"no class":                    class(0),
		"the inverse":                 code(1),
		"the status":                  code(2),
		"a notice of change":          code(4),
		"an update":                   code(5),
		"a session":                   code(6),
		"who it is":                   newQuery("version.bind.", dnsmessage.TypeTXT),
		"the root":                    newQuery(".", dnsmessage.TypeA),
		"a single label":              newQuery("printer.", dnsmessage.TypeAAAA),
		"a name of 127 labels":        newQuery(strings.Repeat("a.", 127), dnsmessage.TypeAAAA),
		"an address as name":          newQuery("10.0.0.1.", dnsmessage.TypeA),
		"a service's hints":           newQuery("a.example.com.", dnsmessage.TypeHTTPS),
	} {
		attack.Stopped(t, "D16", name, probe(good), probe(msg))
	}
	// The letters of a name are folded: no other spelling has an address of its own.
	first := exchange(t, s, good)
	for _, name := range []string{"A.eXaMpLe.CoM.", "a.EXAMPLE.com."} {
		got := exchange(t, s, newQuery(name, dnsmessage.TypeA))
		if len(got.Answers) != 1 || got.Answers[0].Body.GoString() != first.Answers[0].Body.GoString() {
			t.Errorf("%s: %+v", name, got)
		}
		if len(got.Questions) != 1 || got.Questions[0].Name.String() != name {
			t.Errorf("%s was answered for %v (draft-vixie-dnsext-dns0x20)", name, got.Questions)
		}
	}
}
