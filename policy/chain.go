package policy

import (
	"context"
	"errors"
	"time"

	"bottled/routes"
	"bottled/secret"
	"bottled/strict"
)

// A Chain is the proxy that every connection of a bottle goes through because the
// operator says so, whatever its manifest says.
type Chain struct {
	routes.UpstreamProxy
	Certificates []byte // PEM: what CA holds, or the file that it names; nil is none

	store secret.Store // its credential alone, which is lent to nobody
}

// chain is upstream_proxy of a policy. The zero chain is for nobody.
type chain struct {
	to    *Chain // nil: there is none
	whom  who
	place place
}

// operator is whom the credential of a chain is fetched for.
const operator = 0

func readChain(r *strict.Reader, n *strict.Node, file string, read func(path string) ([]byte, error)) chain {
	if n == nil {
		return chain{}
	}
	v := r.Object(n, "upstream_proxy", "url", "ca", "auth", "users", "groups")
	to := &Chain{UpstreamProxy: *routes.ReadUpstreamProxy(r, n, v)}
	c := chain{to: to, whom: who{everybody: true}, place: place{file, n.Line, "upstream_proxy"}}
	if v["users"] != nil || v["groups"] != nil {
		c.whom = who{listed: principals(r, v, "upstream_proxy")}
	}
	var err error
	if to.Certificates, err = certificates(to.CA, read); err != nil {
		r.Fail(v["ca"], "upstream_proxy.ca", "%v", err)
	}
	if to.Auth == nil || to.TokenRef.IsZero() {
		return c
	}
	ref, err := parseHeld(to.TokenRef.String())
	if err == nil {
		err = to.store.Add(ref, secret.Access{Users: []uint32{operator}})
	}
	if err != nil {
		r.Fail(v["auth"], "upstream_proxy.auth.token_ref", "%v", err)
	}
	return c
}

// certificates returns what a PEM of the policy holds. read is nil where no file is
// to be opened.
func certificates(p routes.PEM, read func(path string) ([]byte, error)) ([]byte, error) {
	switch {
	case p.Path == "":
		return []byte(p.Inline), nil
	case read == nil:
		return nil, errors.New("this policy is no file, so no other is read: write the certificates themselves")
	}
	text, err := read(p.Path)
	if err != nil {
		return nil, err
	}
	held, err := routes.ParsePEM(string(text))
	if err == nil && held.Inline == "" {
		err = errors.New("the file holds no certificate in PEM form")
	}
	return []byte(held.Inline), err
}

// Chain returns the proxy that a bottle with this manifest goes through because the
// operator says so; nil is none, or the manifest's own where the operator gave leave
// for it. [Policy.Check] is asked first.
func (p *Policy) Chain(s Subject, m *routes.Manifest) *Chain {
	if p == nil || !p.chain.holds(s) || m.UpstreamProxy != nil {
		return nil
	}
	return p.chain.to
}

// Token fetches the credential for the proxy, and says when it expires, as
// [Policy.Token] does. It is shown to the proxy and to nobody else: a subject cannot
// name it.
func (c *Chain) Token(ctx context.Context, spare time.Duration) (secret.Token, time.Time, error) {
	return c.store.Lease(ctx, c.TokenRef.String(), operator, nil, spare)
}

func (c *chain) holds(s Subject) bool { return c.to != nil && c.whom.has(s) }

// chain refuses a proxy of the manifest's own where the operator's is to be gone
// through, unless may.upstream_proxy was written: then that says who is free of it.
func (c *check) chain(own *routes.UpstreamProxy) {
	if _, said := c.p.may.lines["upstream_proxy"]; !said && c.p.chain.holds(c.s) {
		c.refuse(c.p.chain.place, "bottles of this host go through %s, and a manifest may not name another proxy: remove upstream_proxy", c.p.chain.to)
		return
	}
	c.leave(c.p.may.upstreamProxy, "upstream_proxy", "you may not use upstream_proxy: remove it")
	if f, ok := c.forbids(routes.Exact(own.Authority.Host)); ok {
		c.refuse(f.place, "%s may never be allowed, and upstream_proxy is there: remove it", f)
	}
}
