package worker

import (
	"crypto/x509"
	"errors"
	"fmt"

	"bottled/proxy"
	"bottled/routes"
)

// Upstream is the upstream_proxy of a bottle.
type Upstream struct {
	TLS       bool   `json:"tls,omitempty"` // it is an https:// proxy
	Authority string `json:"authority"`     // host:port
	CA        []byte `json:"ca,omitempty"`  // PEM, trusted on the way through it and for itself
}

// configure returns the proxy with what it is verified by, and adds its authority
// to roots, which verify upstreams: there are none but through it.
func (u *Upstream) configure(roots *x509.CertPool) (*proxy.Upstream, error) {
	if u == nil {
		return nil, nil
	}
	authority, err := routes.ParseAuthority(u.Authority, 0)
	if err != nil || authority.Port == 0 {
		return nil, fmt.Errorf("upstream_proxy: %q is not host:port", u.Authority)
	}
	own, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("upstream_proxy: system roots: %w", err)
	}
	if len(u.CA) > 0 && !(own.AppendCertsFromPEM(u.CA) && roots.AppendCertsFromPEM(u.CA)) {
		return nil, errors.New("upstream_proxy: ca holds no certificate in PEM form")
	}
	return &proxy.Upstream{TLS: u.TLS, Authority: authority, Roots: own}, nil
}
