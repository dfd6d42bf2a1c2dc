package routes

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// A PEM is one or more certificates, inline or in a file that the launching side
// reads. The zero PEM is none.
type PEM struct {
	Inline string // checked: nothing but certificates
	Path   string // not checked: give what it holds to [ParsePEM]
}

// IsZero reports whether p names no certificate.
func (p PEM) IsZero() bool { return p == PEM{} }

// ParsePEM takes PEM text or the path of a file.
func ParsePEM(s string) (PEM, error) {
	switch {
	case !strings.Contains(s, "-----BEGIN"):
		if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return PEM{}, errors.New("this is neither a certificate in PEM form nor the path of one")
		}
		return PEM{Path: s}, nil
	case strings.Contains(s, "PRIVATE KEY"):
		return PEM{}, errors.New("this holds a private key: write the certificate alone, and replace the key if this file was shared")
	}
	rest, count := []byte(s), 0
	for len(strings.TrimSpace(string(rest))) > 0 {
		block, tail := pem.Decode(rest)
		if block == nil {
			return PEM{}, errors.New("this holds something beside certificates in PEM form: remove it")
		}
		if _, err := x509.ParseCertificate(block.Bytes); block.Type != "CERTIFICATE" || err != nil {
			return PEM{}, fmt.Errorf("PEM block %d is no certificate that can be read", count)
		}
		rest, count = tail, count+1
	}
	return PEM{Inline: s}, nil
}
