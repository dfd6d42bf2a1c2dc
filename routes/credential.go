package routes

import (
	"fmt"
	"net/textproto"
	"strings"
)

// queryName are the characters of a query parameter that need no encoding
// (RFC 3986 §2.3), so that no upstream reads another name.
const queryName = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

// framingFields are the fields that delimit or route a message. A credential in
// one of them would change which request the upstream sees.
var framingFields = map[string]bool{
	"Host": true, "Content-Length": true, "Transfer-Encoding": true, "Connection": true,
	"Te": true, "Trailer": true, "Upgrade": true, "Keep-Alive": true, "Expect": true,
	"Proxy-Connection": true, "Proxy-Authorization": true, "Proxy-Authenticate": true,
	"Content-Type": true, "Content-Encoding": true, "Forwarded": true, "Via": true,
}

// parseAuthHeader returns the canonical name of a field that may take a
// credential. An underscore is refused: some servers read it as a hyphen.
func parseAuthHeader(s string) (string, error) {
	if !isToken(s) || strings.Contains(s, "_") || len(s) > 64 {
		return "", fmt.Errorf("auth.header %q is not a field name: write one such as x-api-key", clip(s))
	}
	name := textproto.CanonicalMIMEHeaderKey(s)
	if framingFields[name] {
		return "", fmt.Errorf("auth.header %s frames or routes the request: a credential can not go there", name)
	}
	return name, nil
}

// checkUsername holds RFC 7617 §2: a user-id has no colon and no control
// characters.
func checkUsername(s string) error {
	for _, r := range s {
		if r == ':' || r < 0x20 || r == 0x7f {
			return fmt.Errorf("auth.username %q: a user name has no colon and no control characters", clip(s))
		}
	}
	if len(s) > 256 {
		return fmt.Errorf("auth.username is %d bytes long: the limit is 256", len(s))
	}
	return nil
}
