package ca

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
)

// Handover is an authority with its key, on its way from the daemon to the
// bottle's worker. It goes over a socketpair and nowhere else. It cannot be
// printed or serialised; [Handover.Reveal] is the only way out.
type Handover struct{ reveal func() []byte }

// Reveal returns the bytes to send, which hold the key of the authority.
func (h Handover) Reveal() []byte {
	if h.reveal == nil {
		return nil
	}
	return h.reveal()
}

// Format implements [fmt.Formatter]: every verb prints the same mask.
func (Handover) Format(f fmt.State, _ rune) { io.WriteString(f, "[certificate authority]") }

// MarshalText refuses: the way out is [Handover.Reveal].
func (Handover) MarshalText() ([]byte, error) {
	return nil, errors.New("ca: an authority cannot be serialised but for its worker")
}

// handover is what the bytes of a [Handover] are, in DER.
type handover struct {
	Version int // 1
	Cert    []byte
	Key     []byte // PKCS #8
}

// Marshal returns a with its key, for [Unmarshal] in the worker.
func (a *Authority) Marshal() (Handover, error) {
	key, err := x509.MarshalPKCS8PrivateKey(a.key.key())
	if err != nil {
		return Handover{}, fmt.Errorf("ca: %w", err)
	}
	der, err := asn1.Marshal(handover{Version: 1, Cert: a.cert.Raw, Key: key})
	if err != nil {
		return Handover{}, fmt.Errorf("ca: %w", err)
	}
	return Handover{func() []byte { return der }}, nil
}

// Unmarshal makes the authority of what [Handover.Reveal] gave on the other side.
// Its leaves have a key of their own. No error holds a part of the key.
func Unmarshal(der []byte) (*Authority, error) {
	var h handover
	rest, err := asn1.Unmarshal(der, &h)
	if err != nil || len(rest) > 0 || h.Version != 1 {
		return nil, errors.New("ca: hand-over: not an authority of version 1")
	}
	cert, err := x509.ParseCertificate(h.Cert)
	if err != nil {
		return nil, errors.New("ca: hand-over: bad certificate")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(h.Key)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok {
		return nil, errors.New("ca: hand-over: bad key")
	}
	if !key.PublicKey.Equal(cert.PublicKey) || !cert.IsCA {
		return nil, errors.New("ca: hand-over: the key is not that of the certificate, or the certificate not that of an authority")
	}
	return assemble(cert, key)
}
