package ca

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

const (
	// leafLifetime is how long a leaf is valid, at most: far below the 398 days that
	// Apple and Chromium allow.
	leafLifetime = 7 * 24 * time.Hour
	// leafRenew is how long before its end a leaf is minted anew.
	leafRenew = time.Hour
)

// Leaf returns a certificate for name, a canonical host name (lower case, A-labels,
// no trailing dot) or an IP address in its canonical text, which policy allowed.
// It is minted at the first call and kept while it is among the [CacheSize] last
// used. Callers share the result: it must not be changed.
//
// Concurrent calls for one name mint once. Minting is limited to [MintRate]; a call
// that would wait longer than [MintWait] for its turn, or than ctx lasts, is an error.
func (a *Authority) Leaf(ctx context.Context, name string) (*tls.Certificate, error) {
	return a.leaf(ctx, a.allowed, name)
}

// Refusal is [Authority.Leaf] for a name that policy denied, over which the client
// gets its 403. It has a budget and a cache of its own: a flood of denied names
// takes nothing from the allowed ones.
func (a *Authority) Refusal(ctx context.Context, name string) (*tls.Certificate, error) {
	return a.leaf(ctx, a.refused, name)
}

func (a *Authority) leaf(ctx context.Context, m *mint, name string) (*tls.Certificate, error) {
	if cert := m.cached(name, a.now()); cert != nil {
		return cert, nil
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	return m.once(ctx, name, func() (*tls.Certificate, error) { return a.sign(name) })
}

// sign mints the leaf for name. What clients beyond Go ask of it: a subject
// alternative name (the common name is dead), serverAuth, an authority key id
// that matches the authority's (Python's VERIFY_X509_STRICT), digitalSignature,
// a serial of at most 20 bytes, at most 398 days, and an end within its issuer's.
func (a *Authority) sign(name string) (*tls.Certificate, error) {
	now := a.now()
	end := now.Add(leafLifetime)
	if end.After(a.cert.NotAfter) {
		end = a.cert.NotAfter
	}
	if !end.After(now.Add(leafRenew)) { // or every call of the last hour would mint anew
		return nil, fmt.Errorf("ca: the authority ended at %s; start the bottle again to get a new one", a.cert.NotAfter.Format(time.RFC3339))
	}
	public, err := x509.MarshalPKIXPublicKey(a.leafKey.Public())
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	keyID := sha256.Sum256(public)
	template := &x509.Certificate{
		// Not empty, or the alternative name would have to be critical, which some clients stumble over.
		Subject:      pkix.Name{Organization: []string{"bottled"}},
		NotBefore:    now.Add(-backdate),
		NotAfter:     end,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		SubjectKeyId: keyID[:20],
		// Never a CA, and says so.
		BasicConstraintsValid: true,
	}
	if addr, err := netip.ParseAddr(name); err == nil {
		template.IPAddresses = []net.IP{addr.AsSlice()}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, a.leafKey.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("ca: leaf for %q: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("ca: leaf for %q: %w", name, err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.leafKey, Leaf: cert}, nil
}

// checkName refuses what is neither a canonical host name nor an address. Policy
// has parsed the name before; this keeps an SNI that did not go through policy
// (crypto/tls hands on whatever bytes a client sent) out of a certificate.
func checkName(name string) error {
	if addr, err := netip.ParseAddr(name); err == nil {
		if addr.Zone() != "" || addr.Is4In6() || addr.String() != name {
			return fmt.Errorf("ca: %q is not an address in its canonical form", name)
		}
		return nil
	}
	if name == "" || len(name) > 253 {
		return fmt.Errorf("ca: %q is not a host name: it has %d bytes, not 1 to 253", name, len(name))
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return fmt.Errorf("ca: %q is not a host name: a label has %d bytes, not 1 to 63", name, len(label))
		}
		for _, c := range []byte(label) {
			switch {
			case c == '-', c == '_', '0' <= c && c <= '9', 'a' <= c && c <= 'z':
			default:
				return fmt.Errorf("ca: %q is not a canonical host name: %q is in it", name, c)
			}
		}
	}
	return nil
}
