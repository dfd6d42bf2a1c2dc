// Package sniff tells from the first bytes of a connection what is spoken on it.
//
// It only sorts: no decision is made from what it read. The TLS name comes from
// crypto/tls, the request from net/http. What it does not know is [Unknown], and
// an unknown connection is closed: SOCKS, the PROXY protocol, HTTP/2 without TLS
// and SSLv2 are not spoken here.
package sniff

import "bytes"

// Kind is what a connection speaks.
type Kind uint8

// The kinds. [More] asks for more bytes.
const (
	Unknown Kind = iota
	More
	TLS      // a TLS handshake record (RFC 8446 section 5.1)
	HTTP1    // a method and a space
	Preface2 // the HTTP/2 connection preface in clear (RFC 9113 section 3.4)
)

// Max is how many bytes Classify needs at the most.
const Max = maxMethod + 1

const maxMethod = 24 // bytes of a method; the longest registered, UPDATEREDIRECTREF, has 17

var (
	preface = []byte("PRI * ")
	proxyV1 = []byte("PROXY ") // would read as a method
)

// Classify looks at the bytes received so far. It answers [More] only for fewer
// than [Max] bytes.
func Classify(p []byte) Kind {
	if len(p) == 0 {
		return More
	}
	if p[0] == 0x16 {
		switch {
		case len(p) == 1:
			return More
		case p[1] == 3:
			return TLS
		}
		return Unknown
	}
	for i, c := range p {
		switch {
		case c == ' ' && i > 0:
			return request(p)
		case i == maxMethod, !(c >= 'A' && c <= 'Z' || c == '-' || c == '_'):
			return Unknown
		}
	}
	return More
}

func request(p []byte) Kind {
	switch {
	case bytes.HasPrefix(p, proxyV1):
		return Unknown
	case bytes.HasPrefix(p, preface):
		return Preface2
	case bytes.HasPrefix(preface, p):
		return More
	}
	return HTTP1
}
