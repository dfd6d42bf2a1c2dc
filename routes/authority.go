package routes

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"bottled/strict"
)

// An Authority is the host and port that a request names: the one value that is
// judged, audited, dialled and sent on as Host or :authority.
type Authority struct {
	Host Host
	Port uint16 // never 0 in a parsed Authority
}

// ParseAuthority parses the Host field, the :authority pseudo-header or the
// target of a CONNECT (RFC 9110 §7.2, RFC 3986 §3.2) as it comes from a bottle.
// An absent port is defaultPort.
//
// It is strict where programs differ: ASCII letters, digits, hyphens and dots
// only; no user information, no percent encoding, no zone, no empty port, no
// leading zero in a port, no IPv4 address in any notation but four decimal
// numbers. One trailing dot is dropped.
func ParseAuthority(s string, defaultPort uint16) (Authority, error) {
	if s == "" {
		return Authority{}, errors.New("the request names no host: send a Host field")
	}
	host, port, hasPort, err := splitPort(s)
	if err != nil {
		return Authority{}, err
	}
	a := Authority{Port: defaultPort}
	if hasPort {
		if a.Port, err = parsePort(port); err != nil {
			return Authority{}, fmt.Errorf("host %q: %w", clip(s), err)
		}
	}
	if a.Port == 0 {
		return Authority{}, fmt.Errorf("host %q names no port, and its scheme has no default", clip(s))
	}
	if a.Host, err = parseWireHost(host); err != nil {
		return Authority{}, err
	}
	return a, nil
}

// splitPort cuts host:port. The host of an IPv6 literal keeps its brackets.
func splitPort(s string) (host, port string, hasPort bool, err error) {
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", "", false, fmt.Errorf("host %q: the bracket is not closed", clip(s))
		}
		host, rest := s[:end+1], s[end+1:]
		if rest == "" {
			return host, "", false, nil
		}
		if rest[0] != ':' {
			return "", "", false, fmt.Errorf("host %q: only a port may follow the bracket", clip(s))
		}
		return host, rest[1:], true, nil
	}
	host, port, hasPort = strings.Cut(s, ":")
	return host, port, hasPort, nil
}

// parsePort takes a decimal port from 1 to 65535 without sign or leading zero.
func parsePort(s string) (uint16, error) {
	if s == "" || s[0] == '0' || strings.Trim(s, "0123456789") != "" {
		return 0, fmt.Errorf("%q is not a port: write a number from 1 to 65535", clip(s))
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is not a port: write a number from 1 to 65535", clip(s))
	}
	return uint16(n), nil
}

// ParseSNI parses the server name of a TLS client hello (RFC 6066 §3): a fully
// spelled DNS name without a trailing dot, and never an IP address. crypto/tls
// hands these bytes over unchecked.
func ParseSNI(s string) (Host, error) {
	if s == "" {
		return Host{}, errors.New("the TLS client hello names no server")
	}
	if strings.HasSuffix(s, ".") {
		return Host{}, fmt.Errorf("server name %q ends in a dot, which RFC 6066 forbids", clip(s))
	}
	h, err := parseWireHost(s)
	if err != nil {
		return Host{}, fmt.Errorf("server name: %w", err)
	}
	if _, ok := h.Addr(); ok {
		return Host{}, fmt.Errorf("server name %q is an IP address, which RFC 6066 forbids", clip(s))
	}
	return h, nil
}

// parseWireHost maps upper-case ASCII letters to lower case and changes nothing
// else: a name that would need more is not the name that a route holds.
func parseWireHost(s string) (Host, error) {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		inner = strings.TrimSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		if err != nil || !addr.Is6() {
			return Host{}, fmt.Errorf("host %q is not an IPv6 address in brackets", clip(s))
		}
		return hostOfAddr(addr, s)
	}
	if len(s) > maxHost+1 {
		return Host{}, fmt.Errorf("a host of %d bytes is too long: a domain name has at most %d", len(s), maxHost)
	}
	name := strings.TrimSuffix(asciiLower(s), ".")
	if name == "" {
		return Host{}, errors.New("the request names no host: send a Host field")
	}
	// netip takes exactly the four-decimal form: no leading zeros, no short forms.
	if isDigit(name[len(name)-1]) {
		if addr, err := netip.ParseAddr(name); err == nil && addr.Is4() {
			return Host{addr: addr}, nil
		}
	}
	return parseName(name, clip(s))
}

func asciiLower(s string) string {
	for i := range len(s) {
		if isUpper(s[i]) {
			b := []byte(s)
			for j := i; j < len(b); j++ {
				if isUpper(b[j]) {
					b[j] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// String returns host:port, with brackets around an IPv6 address; "" for the zero
// Authority.
func (a Authority) String() string {
	if a.Host.IsZero() {
		return ""
	}
	port := strconv.Itoa(int(a.Port))
	if addr, ok := a.Host.Addr(); ok && addr.Is6() {
		return "[" + addr.String() + "]:" + port
	}
	return a.Host.String() + ":" + port
}

// clip bounds hostile input before it goes into a message.
func clip(s string) string { return strict.Clip(s) }
