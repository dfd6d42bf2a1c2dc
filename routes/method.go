package routes

import (
	"fmt"
	"slices"
	"strings"
)

// tokenPunct are the characters that RFC 9110 §5.6.2 allows in a token beside
// letters and digits.
const tokenPunct = "!#$%&'*+-.^_`|~"

func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !isLower(c) && !isUpper(c) && !isDigit(c) && strings.IndexByte(tokenPunct, c) < 0 {
			return false
		}
	}
	return s != ""
}

// ParseMethod parses one entry of a route's methods. Methods are case-sensitive
// (RFC 9110 §9.1), and TRACE is never allowed: it makes the upstream send the
// injected credential back (RFC 9110 §9.3.8).
func ParseMethod(s string) (string, error) {
	switch {
	case !isToken(s) || len(s) > 32:
		return "", fmt.Errorf("%q is not an HTTP method: write one such as GET", clip(s))
	case s != strings.ToUpper(s):
		return "", fmt.Errorf("methods are case-sensitive, and %q is not one in use: write %s", s, strings.ToUpper(s))
	case s == "TRACE":
		return "", fmt.Errorf("TRACE can not be allowed: an upstream that answers it sends the injected credential back")
	}
	return s, nil
}

// unusual methods pass only where a route lists them: each makes a proxy or a
// server do something else than serve a resource. The comparison folds case, for
// an upstream that does so too.
func unusual(method string) bool {
	return strings.EqualFold(method, "TRACE") || strings.EqualFold(method, "TRACK") || strings.EqualFold(method, "CONNECT")
}

// allowsMethod reports whether the route takes the method.
func (r *Route) allowsMethod(method string) bool {
	if strings.EqualFold(method, "TRACE") || !isToken(method) {
		return false
	}
	if r.Methods == nil {
		return !unusual(method)
	}
	return slices.Contains(r.Methods, method)
}

// methodsOverlap reports whether some request could be meant by both routes.
func methodsOverlap(a, b *Route) bool {
	if a.Methods == nil && b.Methods == nil {
		return true
	}
	if a.Methods == nil {
		a, b = b, a
	}
	return slices.ContainsFunc(a.Methods, b.allowsMethod)
}
