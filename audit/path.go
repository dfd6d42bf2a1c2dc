package audit

import "strings"

// Path is a request path. It cannot hold a query, which is where tokens are found
// in URLs: [PathOf] is the only way to make one.
type Path struct{ s string }

// PathOf takes the path out of a request target in any of its forms (RFC 9112,
// section 3.2): the query, the fragment, and the authority with its user information go.
func PathOf(target string) Path {
	if i := strings.IndexAny(target, "?#"); i >= 0 {
		target = target[:i]
	}
	if _, rest, ok := strings.Cut(target, "://"); ok && !strings.HasPrefix(target, "/") {
		_, path, _ := strings.Cut(rest, "/")
		return Path{"/" + path}
	}
	if !strings.HasPrefix(target, "/") && target != "*" {
		return Path{} // authority-form, or something that is no target at all
	}
	return Path{target}
}

// String returns the path.
func (p Path) String() string { return p.s }

// IsZero reports whether p holds nothing.
func (p Path) IsZero() bool { return p.s == "" }

// MarshalText implements [encoding.TextMarshaler].
func (p Path) MarshalText() ([]byte, error) { return []byte(p.s), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (p *Path) UnmarshalText(b []byte) error {
	*p = PathOf(string(b))
	return nil
}
