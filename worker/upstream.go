package worker

import (
	"crypto/x509"
	"errors"
	"fmt"

	"bottled/proxy"
	"bottled/routes"
	"bottled/secret"
)

// Upstream is the upstream_proxy of a bottle.
type Upstream struct {
	TLS       bool   `json:"tls,omitempty"` // it is an https:// proxy
	Authority string `json:"authority"`     // host:port
	CA        []byte `json:"ca,omitempty"`  // PEM, trusted on the way through it and for itself
	// Scheme and Username are how the token of [routes.ProxySlot] is shown to it; no
	// Scheme is not at all.
	Scheme   string `json:"scheme,omitempty"`
	Username string `json:"username,omitempty"`
}

// configure returns the proxy with what it is verified by, and adds its authority
// to roots, which verify upstreams: there are none but through it. token is asked for
// its credential at each dial.
func (u *Upstream) configure(roots *x509.CertPool, token func() (secret.Token, bool)) (*proxy.Upstream, error) {
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
	p := &proxy.Upstream{TLS: u.TLS, Authority: authority, Roots: own}
	if u.Scheme != "" {
		p.Auth, p.Token = &routes.Auth{Scheme: u.Scheme, Username: u.Username, Slot: routes.ProxySlot}, token
	}
	return p, nil
}

// complete refuses tokens without that of the proxy: every dial would fail.
func (u *Upstream) complete(t tokens) error {
	if u == nil || u.Scheme == "" {
		return nil
	}
	if _, ok := t.bySlot[routes.ProxySlot]; !ok {
		return errors.New("upstream_proxy: no value was given for its credential")
	}
	return nil
}
