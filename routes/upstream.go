package routes

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"bottled/strict"
)

// A PEM is one or more certificates, inline or in a file that the launching side
// reads. The zero PEM is none.
type PEM struct {
	Inline string // checked: nothing but certificates
	Path   string // not checked: give what it holds to [ParsePEM]
}

// IsZero reports whether p names no certificate.
func (p PEM) IsZero() bool { return p == PEM{} }

// ParsePEM takes PEM text or the path of a file.
func ParsePEM(s string) (PEM, error) {
	switch {
	case !strings.Contains(s, "-----BEGIN"):
		if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return PEM{}, errors.New("this is neither a certificate in PEM form nor the path of one")
		}
		return PEM{Path: s}, nil
	case strings.Contains(s, "PRIVATE KEY"):
		return PEM{}, errors.New("this holds a private key: write the certificate alone, and replace the key if this file was shared")
	}
	rest, count := []byte(s), 0
	for len(strings.TrimSpace(string(rest))) > 0 {
		block, tail := pem.Decode(rest)
		if block == nil {
			return PEM{}, errors.New("this holds something beside certificates in PEM form: remove it")
		}
		if _, err := x509.ParseCertificate(block.Bytes); block.Type != "CERTIFICATE" || err != nil {
			return PEM{}, fmt.Errorf("PEM block %d is no certificate that can be read", count)
		}
		rest, count = tail, count+1
	}
	return PEM{Inline: s}, nil
}

// An UpstreamProxy is another proxy that all connections are chained to, by
// CONNECT.
type UpstreamProxy struct {
	Scheme    string // "http" or "https": how the proxy itself is spoken to
	Authority Authority
	CA        PEM // trusted for what the proxy presents on that leg
}

func (r *reader) upstreamProxy(n *strict.Node) *UpstreamProxy {
	if n == nil {
		return nil
	}
	v := r.Object(n, "upstream_proxy", "url", "ca")
	if strict.Missing(n, v, "url") {
		r.Fail(n, "upstream_proxy", "it has no url: add url: http://HOST:PORT")
	}
	p := strict.Parsed(r.Reader, v["url"], "upstream_proxy.url", parseProxyURL)
	p.CA = strict.Parsed(r.Reader, v["ca"], "upstream_proxy.ca", ParsePEM)
	return &p
}

func parseProxyURL(s string) (UpstreamProxy, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return UpstreamProxy{}, errors.New("this is not the URL of a proxy: write http://HOST:PORT or https://HOST:PORT")
	case u.User != nil:
		return UpstreamProxy{}, errors.New("this holds a user name or password: a manifest holds no secret, remove it")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return UpstreamProxy{}, fmt.Errorf("%q has a path, query or fragment: write %s://%s", clip(s), u.Scheme, u.Host)
	case u.Port() == "":
		return UpstreamProxy{}, fmt.Errorf("%q has no port: write %s://%s:PORT", clip(s), u.Scheme, u.Host)
	}
	a, err := ParseAuthority(u.Host, 0)
	return UpstreamProxy{Scheme: u.Scheme, Authority: a}, err
}
