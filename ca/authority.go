// Package ca is the certificate authority of one bottle.
//
// An [Authority] is made when the bottle starts and dies with it. Its certificate
// goes into the bottle's trust store and nowhere else; its key stays in the memory
// of the daemon, which makes it, and of the bottle's worker, which gets it over a
// socketpair as a [Handover] and mints a leaf for each name that a program in the
// bottle speaks TLS to. There is no file with the key in it.
//
// Name constraints (RFC 5280, section 4.2.1.10) cannot narrow such an authority: a
// denied name needs a certificate too, so that its client gets to see the 403.
// What narrows it is that one bottle trusts it, for [Lifetime].
package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"time"
)

const (
	// Lifetime is how long an authority is valid. In a bottle that is older than
	// this nothing is minted any more: it fails closed.
	Lifetime = 90 * 24 * time.Hour
	// backdate is how far certificates begin in the past, for clients whose clock is behind.
	backdate = time.Hour
	// maxID bounds a bottle's id, in bytes: with what stands before it, it fits
	// a common name (64, RFC 5280, appendix A).
	maxID = 48
)

// Authority mints the leaf certificates of one bottle. It is safe for concurrent
// use. Nothing that prints Go values can print its key.
type Authority struct {
	cert    *x509.Certificate
	key     signer
	leafKey signer
	now     func() time.Time
	allowed *mint
	refused *mint
}

// New makes the authority of a bottle: a P-256 key and a self-signed certificate
// that begins an hour before now. bottleID goes into its name, so that two
// authorities in one trust store never look the same; it has 1 to 48 bytes of
// letters, digits, '-', '_' and '.'.
func New(bottleID string, now time.Time) (*Authority, error) {
	if !validID(bottleID) {
		return nil, fmt.Errorf("ca: bottle id %q: want 1 to %d letters, digits, '-', '_' or '.'", bottleID, maxID)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	// A nil SerialNumber becomes a random one of 159 bits, and SubjectKeyId the hash of the key.
	template := &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"bottled"}, CommonName: "bottled bottle " + bottleID},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(Lifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	return assemble(cert, key)
}

// assemble makes an authority of a certificate and its key, with a leaf key of its own.
func assemble(cert *x509.Certificate, key *ecdsa.PrivateKey) (*Authority, error) {
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	return &Authority{
		cert:    cert,
		key:     conceal(key),
		leafKey: conceal(leafKey),
		now:     time.Now,
		allowed: newMint(),
		refused: newMint(),
	}, nil
}

// Certificate returns the authority's certificate. Do not change it.
func (a *Authority) Certificate() *x509.Certificate { return a.cert }

// CertPEM returns the authority's certificate in PEM, for the bottle's trust store.
func (a *Authority) CertPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// Format implements [fmt.Formatter]: every verb prints the name alone.
func (a Authority) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "[authority of %s]", a.cert.Subject.CommonName)
}

func validID(id string) bool {
	if id == "" || len(id) > maxID {
		return false
	}
	for _, c := range []byte(id) {
		switch {
		case c == '-', c == '_', c == '.', '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		default:
			return false
		}
	}
	return true
}

// signer is a private key behind a function, where fmt and reflect cannot follow.
type signer struct{ key func() *ecdsa.PrivateKey }

func conceal(key *ecdsa.PrivateKey) signer {
	return signer{func() *ecdsa.PrivateKey { return key }}
}

// Public implements [crypto.Signer].
func (s signer) Public() crypto.PublicKey { return s.key().Public() }

// Sign implements [crypto.Signer].
func (s signer) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.key().Sign(rand, digest, opts)
}
