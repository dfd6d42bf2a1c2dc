package worker

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
)

// authorities are what an upstream is verified against: the host's, and more that the
// manifest adds.
type authorities struct {
	host *os.File // PEM, see [FileRoots]
	more [][]byte // PEM; each is empty or holds a certificate
}

// maxAuthorities bounds what is read of the host's, in bytes. Mozilla's take 0.2 MB.
const maxAuthorities = 16 << 20

var errNoCertificate = errors.New("holds no certificate in PEM form")

// checkPEM refuses a text without a certificate, unless it is empty.
func checkPEM(text []byte) error {
	if len(text) > 0 && !x509.NewCertPool().AppendCertsFromPEM(text) {
		return errNoCertificate
	}
	return nil
}

// upstreams are those of the upstreams. With a proxy between there is no upstream but
// through it, so that its own are among them.
func (h Handoff) upstreams(host *os.File) (authorities, error) {
	if err := checkPEM(h.UpstreamCA); err != nil {
		return authorities{}, fmt.Errorf("upstream_ca %w", err)
	}
	a := authorities{host, [][]byte{h.UpstreamCA}}
	if h.Upstream != nil {
		a.more = append(a.more, h.Upstream.CA)
	}
	return a, nil
}

// pool parses them, which takes as long as all else of a start together and so is left
// until an upstream is spoken to. What cannot be read is not trusted.
func (a authorities) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	text, err := io.ReadAll(io.NewSectionReader(a.host, 0, maxAuthorities))
	if err == nil {
		pool.AppendCertsFromPEM(text)
	}
	for _, text := range a.more {
		pool.AppendCertsFromPEM(text)
	}
	return pool
}
