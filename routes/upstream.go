package routes

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"bottled/strict"
)

// ProxySlot is the slot of the credential of an [UpstreamProxy]. No route can name
// it, so that it goes to the proxy and nowhere else.
const ProxySlot = "UPSTREAM_PROXY_TOKEN"

// An UpstreamProxy is another proxy that all connections are chained to, by
// CONNECT.
type UpstreamProxy struct {
	Scheme    string // "http" or "https": how the proxy itself is spoken to
	Authority Authority
	CA        PEM // trusted for what the proxy presents on that leg

	// Auth is the credential that the proxy is shown with each CONNECT (RFC 9110
	// section 11.7.2); nil is none. Its Slot is [ProxySlot], and it has neither
	// Header nor Query.
	Auth     *Auth
	TokenRef TokenRef // zero without Auth

	Line int // in its document
}

// String returns the URL of the proxy.
func (p *UpstreamProxy) String() string { return p.Scheme + "://" + p.Authority.String() }

// ReadUpstreamProxy reads upstream_proxy at n, of which v are the values: url, ca
// and auth. nil is none. It is the same in a manifest and in the operator's policy.
func ReadUpstreamProxy(r *strict.Reader, n *strict.Node, v map[string]*strict.Node) *UpstreamProxy {
	if n == nil {
		return nil
	}
	if strict.Missing(n, v, "url") {
		r.Fail(n, "upstream_proxy", "it has no url: add url: http://HOST:PORT")
	}
	p := strict.Parsed(r, v["url"], "upstream_proxy.url", parseProxyURL)
	p.Line = n.Line
	p.CA = strict.Parsed(r, v["ca"], "upstream_proxy.ca", ParsePEM)
	p.readAuth(&reader{r}, v["auth"], "upstream_proxy.auth")
	return &p
}

func (p *UpstreamProxy) readAuth(r *reader, n *strict.Node, key string) {
	if n == nil {
		return
	}
	v := r.Object(n, key, "scheme", "username", "token_ref", "cleartext")
	if n.Kind != strict.Map {
		return
	}
	a := &Auth{
		Scheme:   r.Text(v["scheme"], key+".scheme"),
		Username: r.Text(v["username"], key+".username"),
		Slot:     ProxySlot,
	}
	if v["scheme"] == nil && a.Username != "" {
		a.Scheme = "Basic"
	}
	cleartext := r.Flag(v["cleartext"], key+".cleartext", false)
	if strict.Missing(n, v, "token_ref") || a.Scheme == "" && strict.Missing(n, v, "scheme") {
		r.Fail(n, key, "auth needs token_ref, and either username or scheme: write {username: NAME, token_ref: REF}, or remove the block")
		return
	}
	if err := p.checkAuth(a, cleartext); err != nil {
		r.Fail(n, key, "%v", err)
	}
	p.Auth, p.TokenRef = a, strict.Parsed(r.Reader, v["token_ref"], key+".token_ref", ParseTokenRef)
}

// checkAuth holds what is true of a credential for a proxy beyond what is of any. To
// a proxy that is spoken to in the clear it goes with leave only: whoever is on the
// way reads it. On the machine's own loopback nobody is.
func (p *UpstreamProxy) checkAuth(a *Auth, cleartext bool) error {
	switch {
	case a.Scheme == SchemeRaw:
		return errors.New("scheme raw sends the token alone, which Proxy-Authorization does not take: write username, or scheme: Bearer")
	case strings.EqualFold(a.Scheme, "basic") && a.Username == "":
		return errors.New("scheme Basic needs a username, the token being the password: add it")
	case p.overheard() && !cleartext:
		return errors.New("an http:// proxy would be sent the credential in the clear: use https://, or add cleartext: true if the network on the way to it may read it")
	}
	return a.check()
}

// overheard reports whether others on the network read what the proxy is told.
func (p *UpstreamProxy) overheard() bool {
	return p.Scheme == "http" && !p.Authority.Host.addr.IsLoopback()
}

func parseProxyURL(s string) (UpstreamProxy, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return UpstreamProxy{}, errors.New("this is not the URL of a proxy: write http://HOST:PORT or https://HOST:PORT")
	case u.User != nil:
		return UpstreamProxy{}, errors.New("this holds a user name or password, which no URL here takes: write http://HOST:PORT, and beside it auth: {username: NAME, token_ref: REF}, which says where the password is")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return UpstreamProxy{}, fmt.Errorf("%q has a path, query or fragment: write %s://%s", clip(s), u.Scheme, u.Host)
	case u.Port() == "":
		return UpstreamProxy{}, fmt.Errorf("%q has no port: write %s://%s:PORT", clip(s), u.Scheme, u.Host)
	}
	a, err := ParseAuthority(u.Host, 0)
	return UpstreamProxy{Scheme: u.Scheme, Authority: a}, err
}
