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
		key, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(key); pair == "" || err != nil || strings.EqualFold(plain, name) {
			continue
		}
		kept = append(kept, pair)
	}
	kept = append(kept, url.QueryEscape(name)+"="+url.QueryEscape(value))
	return path + "?" + strings.Join(kept, "&")
}
