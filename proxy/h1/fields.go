package h1

import (
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// appendStatus appends the status line of the response to r.
func appendStatus(b []byte, r *http.Request, status int) []byte {
	b = append(b, "HTTP/1."...)
	b = append(b, '0'+byte(r.ProtoMinor), ' ')
	b = append(strconv.AppendInt(b, int64(status), 10), ' ')
	return append(append(b, http.StatusText(status)...), "\r\n"...)
}

// appendFields appends the field lines of a header, but those that omit tells. A name
// that is none is left out, and no value ends its line.
func appendFields(b []byte, h http.Header, omit func(name string) bool) []byte {
	for name, values := range h {
		if !httpguts.ValidHeaderFieldName(name) || omit != nil && omit(name) {
			continue
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				v = strings.Map(visible, v)
			}
			b = append(append(append(append(b, name...), ": "...), v...), "\r\n"...)
		}
	}
	return b
}

// visible makes a space of a control character.
func visible(r rune) rune {
	if r < ' ' && r != '\t' || r == 0x7f {
		return ' '
	}
	return r
}
