package routes

import (
	"errors"
	"fmt"
	"strings"
)

// maxTarget bounds a request target, in bytes. RFC 9112 §3 asks for at least 8000.
const maxTarget = 32 << 10

// splitTarget cuts an origin-form request target (RFC 9112 §3.2.1) into path and
// query and refuses what is none on any route: what net/http, a URL parser or an
// upstream would have to repair before they could use it.
func splitTarget(target string) (path string, err error) {
	switch {
	case target == "" || target[0] != '/':
		return "", fmt.Errorf("the request target %q does not begin with a slash", clip(target))
	case len(target) > maxTarget:
		return "", fmt.Errorf("the request target is %d bytes long: the limit is %d", len(target), maxTarget)
	case len(target) > 1 && (target[1] == '/' || target[1] == '\\'):
		return "", errors.New("the request target begins with two slashes, which a URL parser reads as a host")
	}
	for i := range len(target) {
		switch c := target[i]; {
		case c <= ' ' || c >= 0x7f:
			return "", fmt.Errorf("the request target holds the byte 0x%02x: percent-encode it", c)
		case c == '#':
			return "", errors.New("the request target holds a fragment, which a client never sends")
		}
	}
	path, _, _ = strings.Cut(target, "?")
	for i := 0; i < len(path); i++ {
		if path[i] == '%' {
			if _, ok := unescape(path, i); !ok {
				return "", errors.New("the request target holds a % that begins no escape: write %25")
			}
		}
	}
	return path, nil
}
