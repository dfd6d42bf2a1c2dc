package proxy

import (
	"net/http"
	"net/url"
	"strings"

	"bottled/routes"
	"bottled/secret"
)

// injection is a route's credential, ready to be set on one request.
type injection struct {
	auth  *routes.Auth
	token secret.Token
}

// injection returns what the decided route injects: nil when nothing, false when
// it should and cannot.
func (x *exchange) injection() (*injection, reason, bool) {
	auth := x.decision.Route.Auth
	if auth == nil {
		return nil, reason{}, true
	}
	if !x.f.tls {
		return nil, reasonCleartext, false
	}
	token, ok := x.s.cfg.Credential(x.decision.Generation, auth.Slot)
	if !ok || token.IsZero() {
		return nil, reasonCredential, false
	}
	return &injection{auth, token}, reason{}, true
}

// strip removes every credential of the bottle's own from h, so that the request
// carries the injected one or none.
func (i *injection) strip(h http.Header) {
	drop(h, credentialFields)
	delete(h, i.auth.Field())
}

// apply sets the credential on a request that is about to leave. It is the last
// step before the transport, after everything that removes fields.
func (i *injection) apply(out *http.Request) {
	value := i.auth.Value(i.token.Reveal())
	if field := i.auth.Field(); field != "" {
		out.Header[field] = []string{value}
		return
	}
	out.URL.Opaque = withParameter(out.URL.Opaque, i.auth.Query, value)
}

// withParameter sets one query parameter of target and leaves the bytes of the
// others as they are.
func withParameter(target, name, value string) string {
	path, query, _ := strings.Cut(target, "?")
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		if pair != "" && !carries(pair, name) {
			kept = append(kept, pair)
		}
	}
	kept = append(kept, url.QueryEscape(name)+"="+url.QueryEscape(value))
	return path + "?" + strings.Join(kept, "&")
}

// carries reports whether some upstream could read a parameter of this name in what
// stands between two "&". Readers differ: some take ";" for a separator as well (HTML
// 4.01 appendix B.2.2), some fold case, some take the rest of a name in brackets for a
// list's, end it at a NUL, skip spaces before it, or read "." and " " as "_" (PHP,
// main/php_variables.c).
func carries(pair, name string) bool {
	name = plainName(name)
	for part := range strings.SplitSeq(pair, ";") {
		key, _, _ := strings.Cut(part, "=")
		plain, err := url.QueryUnescape(key)
		if err != nil {
			return true // nobody knows how it is read
		}
		plain, _, _ = strings.Cut(strings.TrimLeft(plain, "? \t\r\n\v\f"), "\x00")
		list, _, _ := strings.Cut(plain, "[")
		if plainName(plain) == name || plainName(list) == name {
			return true
		}
	}
	return false
}

// plainName is a parameter's name without the differences that readers do not see.
func plainName(name string) string {
	return strings.ToLower(strings.NewReplacer(" ", "_", ".", "_", "[", "_").Replace(strings.TrimSpace(name)))
}
