package bottle

import (
	"fmt"
	"strings"

	"bottled/policy"
	"bottled/routes"
	"bottled/worker"
)

// chain is the proxy that all of a bottle's connections go through: its manifest's,
// or the operator's for the whole host. The zero chain is none.
type chain struct {
	proxy    *routes.UpstreamProxy
	ca       []byte        // PEM; of a manifest's once it was read
	operator *policy.Chain // nil: the manifest's
}

// read fills in the certificates that a manifest names the file of.
func (c *chain) read(files map[string][]byte) (err error) {
	if c.proxy == nil {
		return nil
	}
	if c.ca, err = contents(c.proxy.CA, files); err != nil {
		return fmt.Errorf("%w: upstream_proxy.ca: %w", ErrInvalid, err)
	}
	return nil
}

// through is t with the operator's chain, if there is one, in the place of its own.
func (t table) through(o *policy.Chain) table {
	if o == nil {
		return t
	}
	t.chain = chain{proxy: &o.UpstreamProxy, ca: o.Certificates, operator: o}
	t.slots = t.effective.Slots // t may have been through it already
	if o.Auth != nil {
		t.slots = append(t.slots[:len(t.slots):len(t.slots)], routes.Slot{Name: routes.ProxySlot, Ref: o.TokenRef})
	}
	return t
}

// operators reports whether the token of a slot is the operator's for a proxy of
// theirs: nobody else may use it, nor is told what it is called.
func (t table) operators(s routes.Slot) bool {
	return s.Name == routes.ProxySlot && t.chain.operator != nil
}

// called is how the caller is told of a token.
func (t table) called(s routes.Slot) string {
	if t.operators(s) {
		return "the credential for upstream_proxy " + t.chain.proxy.String()
	}
	return fmt.Sprintf("the token %q", s.Ref)
}

// handoff is the chain as the enforcer takes it.
func (c chain) handoff() *worker.Upstream {
	if c.proxy == nil {
		return nil
	}
	u := &worker.Upstream{TLS: c.proxy.Scheme == "https", Authority: c.proxy.Authority.String(), CA: c.ca}
	if a := c.proxy.Auth; a != nil {
		u.Scheme, u.Username = a.Scheme, a.Username
	}
	return u
}

// chained is what is settled about a chain at the launch. It is comparable with ==;
// the zero value is none. It holds no secret.
type chained struct {
	URL      string `json:"url"`
	CA       string `json:"ca,omitempty"`     // digest of the certificates
	Scheme   string `json:"scheme,omitempty"` // of its credential; "" is none
	Username string `json:"username,omitempty"`
	TokenRef string `json:"token_ref,omitempty"`
	Operator bool   `json:"operator,omitempty"`
}

// authority is host:port of the proxy; "" is none.
func (c chained) authority() string {
	_, authority, _ := strings.Cut(c.URL, "://")
	return authority
}

// shown is what may be told of it; nil where there is none.
func (c chained) shown() *Chain {
	if c == (chained{}) {
		return nil
	}
	return &Chain{URL: c.URL, CA: c.CA, Scheme: c.Scheme, Operator: c.Operator}
}

func (c chain) settled() chained {
	if c.proxy == nil {
		return chained{}
	}
	s := chained{URL: c.proxy.String(), CA: digest(c.ca), TokenRef: c.proxy.TokenRef.String(), Operator: c.operator != nil}
	if a := c.proxy.Auth; a != nil {
		s.Scheme, s.Username = a.Scheme, a.Username
	}
	return s
}
