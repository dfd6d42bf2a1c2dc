package h1

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

var errLength = errors.New("Content-Length must be one decimal number")

// parseLength reads a Content-Length (RFC 9110 section 8.6).
func parseLength(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, errLength
	}
	return int64(n), nil
}

// lengthOf is the one length that a header states, and whether it states one. The same
// length twice is one where strict does not forbid it.
func lengthOf(h http.Header, strict bool) (n int64, stated bool, err error) {
	list := h["Content-Length"]
	if len(list) == 0 {
		return 0, false, nil
	}
	if len(slices.Compact(slices.Clone(list))) > 1 || strict && len(list) > 1 {
		return 0, false, errLength
	}
	n, err = parseLength(list[0])
	return n, true, err
}

// isChunked reports whether a Transfer-Encoding is the one that is spoken here.
func isChunked(coding []string) bool {
	return len(coding) == 1 && strings.EqualFold(coding[0], "chunked")
}

// announced takes Trailer from a header and returns the fields that it announces, without
// values (RFC 9110 section 6.6.2); nil: none. It is false where one of them frames the
// message.
func announced(h http.Header) (trailer http.Header, ok bool) {
	for _, line := range h["Trailer"] {
		for name := range strings.SplitSeq(line, ",") {
			name = http.CanonicalHeaderKey(strings.Trim(name, " \t"))
			switch {
			case name == "":
				continue
			case name == "Transfer-Encoding", name == "Trailer", name == "Content-Length":
				return nil, false
			case trailer == nil:
				trailer = http.Header{}
			}
			trailer[name] = nil
		}
	}
	delete(h, "Trailer")
	return trailer, true
}
