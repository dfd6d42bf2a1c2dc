package routes

import (
	"errors"
	"fmt"
	"strings"
)

// A PathPattern is one entry of a route's path list. It allows itself and all
// that lies below it at a segment boundary: /user allows /user, /user/ and
// /user/keys, and not /users. One that ends in a slash allows what lies below
// only: /repos/acme/ does not allow /repos/acme. In a segment, * stands for any
// run of characters, and a segment is never empty: /repos/*/issues.
//
// The zero PathPattern matches nothing.
type PathPattern struct {
	segments []string
	below    bool // it ended in a slash
}

// maxPattern bounds one entry, in bytes.
const maxPattern = 2048

// ParsePathPattern parses one entry. An entry is compared with the bytes of the
// request target, case-sensitively, so it is written as it appears there: ASCII,
// and percent-encoded where needed. What [CheckPath] refuses in a request could
// never match and is refused here too.
func ParsePathPattern(s string) (PathPattern, error) {
	switch {
	case s == "":
		return PathPattern{}, errors.New(`the path is empty, which could mean none or all: write "/" to allow every path`)
	case s == "*" || s == "**":
		return PathPattern{}, fmt.Errorf(`%q is not a path: write "/" to allow every path`, s)
	case s[0] != '/':
		return PathPattern{}, fmt.Errorf(`the path %q does not begin with a slash: write %q`, clip(s), clip("/"+s))
	case len(s) > maxPattern:
		return PathPattern{}, fmt.Errorf("the path is %d bytes long: the limit is %d", len(s), maxPattern)
	case strings.ContainsAny(s, "?#"):
		return PathPattern{}, fmt.Errorf("the path %q holds a query or a fragment: paths are judged without them, remove it", clip(s))
	case strings.Contains(s, "**"):
		return PathPattern{}, fmt.Errorf("the path %q holds **: an entry already allows everything below it, and * is any run of characters in one segment", clip(s))
	}
	if err := CheckPath(s); err != nil {
		return PathPattern{}, fmt.Errorf("the path %q can never be allowed: %w", clip(s), err)
	}
	if err := checkCanonical(s); err != nil {
		return PathPattern{}, err
	}
	segments := strings.Split(s[1:], "/")
	last := len(segments) - 1
	if segments[last] == "" {
		return PathPattern{segments: segments[:last], below: true}, nil
	}
	return PathPattern{segments: segments}, nil
}

// checkCanonical holds entries to one spelling each, so that an entry and what it
// decodes to stand for one another. Without this, /%61 and /a would be two
// entries for some servers and one for others.
func checkCanonical(s string) error {
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			continue
		}
		c, _ := unescape(s, i)
		if isPathByte(c) {
			return fmt.Errorf("the path %q holds %s: write %c, which needs no escape", clip(s), s[i:i+3], c)
		}
		if upper := strings.ToUpper(s[i : i+3]); upper != s[i:i+3] {
			return fmt.Errorf("the path %q holds %s: write %s, as clients do", clip(s), s[i:i+3], upper)
		}
	}
	return nil
}

// String returns the entry as it was written.
func (p PathPattern) String() string {
	s := strings.Join(p.segments, "/")
	if p.below && s != "" {
		s += "/"
	}
	return "/" + s
}

// Covers reports whether p allows all that q allows.
func (p PathPattern) Covers(q PathPattern) bool {
	if len(q.segments) < len(p.segments) || len(q.segments) == len(p.segments) && p.below && !q.below {
		return false
	}
	for i, s := range p.segments {
		if q.segments[i] != s && !matchPieces(strings.Split(s, "*"), q.segments[i]) {
			return false
		}
	}
	return true
}

// CheckPath reports whether every program reads the path in the same way: no
// reading of it, decoded once or twice, with dot segments resolved, with
// parameters cut off or with backslashes as slashes, has other segments than the
// bytes have. path is what stands before the "?" of a request target.
//
// It holds for paths that are compared with a path list. A host without one is
// not checked, so that npm's /@scope%2fname works there: all of its readings are
// allowed.
func CheckPath(path string) error {
	if path == "" || path[0] != '/' {
		return errors.New("it does not begin with a slash")
	}
	start := 1
	for i := 1; i < len(path); i++ {
		c := path[i]
		switch {
		case c == '/':
			if err := checkSegment(path[start:i]); err != nil {
				return err
			}
			if i == start {
				return errors.New("it holds an empty segment (//), which some servers drop")
			}
			start = i + 1
		case c == '%':
			if err := checkEscape(path, i); err != nil {
				return err
			}
			i += 2
		case c == '\\':
			return errors.New(`it holds a backslash, which some servers read as a slash`)
		case c == ';':
			return errors.New(`it holds a semicolon, at which some servers cut the segment`)
		case c >= 0x80:
			return fmt.Errorf("it holds the byte 0x%02x, beyond ASCII, which some servers fold into an ASCII character", c)
		case !isPathByte(c):
			return fmt.Errorf("it holds %q, which some programs encode and others do not", string(rune(c)))
		}
	}
	return checkSegment(path[start:])
}

// isPathByte reports whether c may stand in a segment as it is: pchar of
// RFC 3986 §3.3 without the percent sign and the semicolon.
func isPathByte(c byte) bool {
	return isLower(c) || isUpper(c) || isDigit(c) || strings.IndexByte("-._~!$&'()*+,=:@", c) >= 0
}

// checkEscape judges the escape at path[i]. What it decodes to must not be able
// to change the segments, nor begin a second escape.
func checkEscape(path string, i int) error {
	c, ok := unescape(path, i)
	if !ok {
		return errors.New("it holds a % that begins no escape")
	}
	switch {
	case c == '/' || c == '\\':
		return fmt.Errorf("it holds %s, an encoded slash or backslash, which some servers read as a slash", path[i:i+3])
	case c == '.':
		return fmt.Errorf("it holds %s, an encoded dot, which some servers read as a dot segment", path[i:i+3])
	case c == '%':
		return fmt.Errorf("it holds %s, an encoded percent sign, which some servers decode twice", path[i:i+3])
	case c == ';' || c == '?' || c == '#':
		return fmt.Errorf("it holds %s, at which some servers cut the path once it is decoded", path[i:i+3])
	case c < 0x20 || c == 0x7f:
		return fmt.Errorf("it holds %s, an encoded control character", path[i:i+3])
	case c >= 0x80:
		return fmt.Errorf("it holds %s, a byte beyond ASCII, which some servers fold into an ASCII character", path[i:i+3])
	}
	return nil
}

// checkSegment refuses dot segments and what is one after spaces were trimmed.
func checkSegment(s string) error {
	if s == "" {
		return nil
	}
	if s == "." || s == ".." {
		return errors.New("it holds a dot segment, which some servers resolve and others do not")
	}
	if s[len(s)-1] == '.' || strings.HasSuffix(s, "%20") || strings.HasPrefix(s, "%20") {
		return fmt.Errorf("its segment %q ends in a dot or has a space at an end, which some servers trim", clip(s))
	}
	return nil
}

// unescape decodes the escape at s[i]. Hex digits of either case count.
func unescape(s string, i int) (byte, bool) {
	if i+2 >= len(s) {
		return 0, false
	}
	hi, ok1 := unhex(s[i+1])
	lo, ok2 := unhex(s[i+2])
	return hi<<4 | lo, ok1 && ok2
}

func unhex(c byte) (byte, bool) {
	switch {
	case isDigit(c):
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// decodePath decodes every escape once. The path has passed [CheckPath].
func decodePath(path string) string {
	if strings.IndexByte(path, '%') < 0 {
		return path
	}
	b := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			if d, ok := unescape(path, i); ok {
				c, i = d, i+2
			}
		}
		b = append(b, c)
	}
	return string(b)
}
