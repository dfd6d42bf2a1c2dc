package h1

import (
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Malformed is a request that is not one: its head breaks the rules, or is over a bound.
type Malformed struct {
	Status int    // to answer with
	Detail string // for a person; nothing of what was sent is in it
}

func (m *Malformed) Error() string { return m.Detail }

func malformed(detail string) error { return &Malformed{http.StatusBadRequest, detail} }

// parseRequest reads the head of a request (RFC 9112 section 3). The URL is not set:
// RequestURI has the target as it came, and is what to judge by. Whatever could be
// read in two ways is refused. What the head does not say is as in base.
func parseRequest(base *http.Request, head string) (*http.Request, error) {
	line, rest, err := cutLine(head, true)
	if err != nil {
		return nil, malformed(err.Error())
	}
	method, after, _ := strings.Cut(line, " ")
	target, version, _ := strings.Cut(after, " ")
	r := new(http.Request)
	*r = *base
	r.Method, r.RequestURI, r.Proto = method, target, version
	switch {
	case !httpguts.ValidHeaderFieldName(method), !validTarget(target):
		return nil, malformed("the request line is malformed")
	case version == "HTTP/1.1":
		r.ProtoMinor = 1
	case version == "HTTP/1.0":
	case strings.HasPrefix(version, "HTTP/"):
		return nil, &Malformed{http.StatusHTTPVersionNotSupported, "HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken"}
	default:
		return nil, malformed("the request line is malformed")
	}
	switch r.Header, err = parseFields(rest, true); err {
	case nil:
	case errManyFields:
		return nil, &Malformed{http.StatusRequestHeaderFieldsTooLarge, err.Error()}
	default:
		return nil, malformed(err.Error())
	}
	hosts := r.Header["Host"]
	if len(hosts) > 1 || len(hosts) == 0 && r.ProtoMinor > 0 && method != http.MethodConnect {
		return nil, malformed("a request has one Host field")
	}
	if len(hosts) > 0 {
		r.Host = hosts[0]
		delete(r.Header, "Host")
	}
	if err := frame(r); err != nil {
		return nil, err
	}
	if expect := r.Header["Expect"]; len(expect) > 0 && (len(expect) > 1 || !strings.EqualFold(expect[0], "100-continue")) {
		return nil, &Malformed{http.StatusExpectationFailed, "Expect may be 100-continue and nothing else"}
	}
	r.Close = hasToken(r.Header["Connection"], "close") || r.ProtoMinor == 0 && !hasToken(r.Header["Connection"], "keep-alive")
	return r, nil
}

// validTarget holds that a target is one word. Which words it may be is for the route
// table to say.
func validTarget(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return s != ""
}

// frame finds out where the body of r ends (RFC 9112 section 6.3): ContentLength is its
// length, or -1 where it comes in chunks.
func frame(r *http.Request) error {
	coding, chunked := r.Header["Transfer-Encoding"]
	length, stated, err := lengthOf(r.Header, true)
	switch {
	case err != nil:
		return malformed(err.Error())
	case !chunked:
		r.ContentLength = length
		return nil
	case stated || r.ProtoMinor == 0:
		return malformed("Transfer-Encoding may not be here: beside Content-Length, or in HTTP/1.0")
	case !isChunked(coding):
		return &Malformed{http.StatusNotImplemented, "Transfer-Encoding must be chunked and nothing else"}
	}
	delete(r.Header, "Transfer-Encoding")
	r.ContentLength, r.TransferEncoding = -1, coding
	var ok bool
	if r.Trailer, ok = announced(r.Header); !ok {
		return malformed("a trailer cannot frame the message")
	}
	return nil
}

// hasToken reports whether a list-valued field holds token, in any case.
func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		if strings.EqualFold(line, token) || httpguts.HeaderValuesContainsToken([]string{line}, token) {
			return true
		}
	}
	return false
}
