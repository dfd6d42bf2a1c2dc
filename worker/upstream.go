package worker

import (
	"errors"
	"fmt"
	"os"

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

// configure returns the proxy with what it is verified by, which is the host's
// authorities with its own. token is asked for its credential at each dial.
func (u *Upstream) configure(host *os.File, token func() (secret.Token, bool)) (*proxy.Upstream, error) {
	if u == nil {
		return nil, nil
	}
	authority, err := routes.ParseAuthority(u.Authority, 0)
	if err != nil || authority.Port == 0 {
		return nil, fmt.Errorf("upstream_proxy: %q is not host:port", u.Authority)
	}
	if err := checkPEM(u.CA); err != nil {
		return nil, fmt.Errorf("upstream_proxy: ca %w", err)
	}
	p := &proxy.Upstream{TLS: u.TLS, Authority: authority}
	if u.TLS {
		p.Roots = authorities{host, [][]byte{u.CA}}.pool()
	}
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
