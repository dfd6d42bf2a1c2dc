package routes

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// maxHost is the longest domain name in its text form, without the trailing dot
// (RFC 1035 §2.3.4, 255 octets on the wire).
const maxHost = 253

// A Host names one machine in the only form that is ever compared: a lower-case
// A-label domain name without a trailing dot, or an IP address without a zone.
//
// Hosts are comparable with == and may be map keys. The zero Host names nothing
// and is denied everywhere.
type Host struct {
	name string     // "" if addr is set
	addr netip.Addr // invalid if name is set
}

// configIDNA is what a person's spelling of a name goes through, once: UTS #46
// non-transitional mapping, then the checks of IDNA2008 (RFC 5891, RFC 5893).
var configIDNA = idna.New(
	idna.MapForLookup(),
	idna.Transitional(false),
	idna.StrictDomainName(true),
	idna.VerifyDNSLength(true),
	idna.ValidateLabels(true),
	idna.CheckHyphens(true),
	idna.CheckJoiners(true),
	idna.BidiRule(),
)

// ParseHost parses a host as a person writes it in a manifest or on a command
// line. Letter case, one trailing dot and internationalised labels are
// normalised here, and nowhere else. An IPv6 address may stand in brackets.
func ParseHost(s string) (Host, error) {
	switch {
	case s == "":
		return Host{}, errors.New("the host is empty: write a name such as api.example.com")
	case len(s) > 4*maxHost:
		return Host{}, fmt.Errorf("the host is %d bytes long: a domain name has at most %d", len(s), maxHost)
	case strings.Contains(s, "://"):
		return Host{}, fmt.Errorf("%q is a URL: write the host alone, such as api.example.com", s)
	case strings.ContainsAny(s, "/?#"):
		return Host{}, fmt.Errorf("%q holds a path: write the host alone, and the path in path_allowlist", s)
	case strings.Contains(s, "@"):
		return Host{}, fmt.Errorf("%q holds a user name: write the host alone", s)
	case strings.Contains(s, "*"):
		return Host{}, fmt.Errorf("%q: a wildcard is not a host; it may only be the whole first label of a route's host, as in *.example.com", s)
	}
	for _, r := range s {
		// Joiners that IDNA2008 allows in context are left to it.
		if unicode.Is(unicode.Cf, r) && r != '\u200c' && r != '\u200d' {
			return Host{}, fmt.Errorf("%q holds the invisible character %U: remove it", s, r)
		}
	}
	if strings.ContainsAny(s, ":[]") {
		return parseConfigIPv6(s)
	}
	if addr, err := netip.ParseAddr(s); err == nil {
		return Host{addr: addr}, nil
	}
	name, err := configIDNA.ToASCII(strings.TrimSuffix(s, "."))
	if err != nil {
		return Host{}, fmt.Errorf("%q is not a valid host name: write letters, digits and hyphens in labels separated by single dots (%w)", s, err)
	}
	return parseName(name, s)
}

func parseConfigIPv6(s string) (Host, error) {
	inner := s
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		inner = s[1 : len(s)-1]
	}
	addr, err := netip.ParseAddr(inner)
	if err == nil {
		return hostOfAddr(addr, s)
	}
	if host, _, ok := strings.Cut(s, ":"); ok && strings.Count(s, ":") == 1 {
		return Host{}, fmt.Errorf("%q holds a port: write host: %s and ports: [...]", s, host)
	}
	return Host{}, fmt.Errorf("%q is not an IPv6 address: write it as in fd00::1", s)
}

// hostOfAddr refuses the forms of an address that two programs read as two
// different ones.
func hostOfAddr(addr netip.Addr, input string) (Host, error) {
	switch {
	case addr.Zone() != "":
		return Host{}, fmt.Errorf("%q holds an IPv6 zone: link-local addresses are never reachable", input)
	case addr.Is4In6():
		return Host{}, fmt.Errorf("%q is an IPv4 address in IPv6 form: write %s", input, addr.Unmap())
	}
	return Host{addr: addr}, nil
}

// parseName is the strict part that both sides share: lower-case letters, digits
// and hyphens in labels of 1 to 63 bytes (RFC 952, RFC 1123 §2.1). name is
// already in lower case; input is what the error shows.
//
// The underscore is refused, although DNS carries it: no public certificate may
// hold such a name (CA/Browser Forum ballot SC12), so no verified upstream has
// one, and the only one that means something here is [MagicHost].
func parseName(name, input string) (Host, error) {
	if name == MagicHost {
		return Host{name: name}, nil
	}
	if len(name) > maxHost {
		return Host{}, fmt.Errorf("a host of %d bytes is too long: a domain name has at most %d", len(name), maxHost)
	}
	var last string
	for rest, more := name, true; more; {
		last, rest, more = strings.Cut(rest, ".")
		if err := checkLabel(last); err != nil {
			return Host{}, fmt.Errorf("%q is not a valid host name: %w", input, err)
		}
	}
	if endsInNumber(last) {
		return Host{}, fmt.Errorf("%q ends in a number, and programs differ on which IPv4 address that is: write four decimal numbers", input)
	}
	return Host{name: name}, nil
}

func checkLabel(label string) error {
	if label == "" {
		return errors.New("it has an empty label")
	}
	if len(label) > 63 {
		return fmt.Errorf("a label has at most 63 bytes, not %d", len(label))
	}
	for i := range len(label) {
		if c := label[i]; !isLower(c) && !isDigit(c) && c != '-' {
			return fmt.Errorf("only letters, digits and hyphens may be in it, not %q", string(rune(c)))
		}
	}
	if label[0] == '-' || label[len(label)-1] == '-' {
		return errors.New("a label may not begin or end with a hyphen")
	}
	return nil
}

// endsInNumber is the test by which the WHATWG URL standard ("ends in a number
// checker") tells an IPv4 address in an odd notation (127.1, 0x7f.1, 2130706433)
// from a name.
func endsInNumber(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// String returns the canonical form, without brackets; "" for the zero Host.
func (h Host) String() string {
	if h.addr.IsValid() {
		return h.addr.String()
	}
	return h.name
}

// IsZero reports whether h names nothing.
func (h Host) IsZero() bool { return h == Host{} }

// Addr returns the address of an IP literal. It is false for a name.
func (h Host) Addr() (netip.Addr, bool) { return h.addr, h.addr.IsValid() }

// IsMagic reports whether h is [MagicHost], which the enforcer answers itself.
func (h Host) IsMagic() bool { return h.name == MagicHost }

// qualified reports whether h is an address or a name with a dot in it. A name
// without one would be completed by a resolver's search list, and so mean
// another host than the one that was judged.
func (h Host) qualified() bool { return h.addr.IsValid() || strings.Contains(h.name, ".") }

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
