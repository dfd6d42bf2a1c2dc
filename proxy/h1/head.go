package h1

import (
	"bufio"
	"errors"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

var (
	errHeadTooLarge = errors.New("the head is too large")
	errBareLF       = errors.New("a line ends in LF alone")
	errFold         = errors.New("a field is folded over two lines")
	errManyFields   = errors.New("the head has more than " + strconv.Itoa(maxFields) + " fields")
)

// maxFields bounds the field lines of a head or trailer.
const maxFields = 1000

// keptHead is how large a buffer for heads is kept for the next one, in bytes: most heads
// fit, and a connection that waits holds no more because of one that did not.
const keptHead = 4 << 10

// forNext returns buf empty for the next head, or nothing where it is too large to be kept.
func forNext(buf []byte) []byte {
	if cap(buf) > keptHead {
		return nil
	}
	return buf[:0]
}

// appendHead reads a start line and header, or a trailer, up to the empty line that
// ends it (RFC 9112 section 2.1), and appends it to buf without that line. It holds at
// most max bytes. For strict see [cutLine].
func appendHead(buf []byte, in *bufio.Reader, max int64, strict bool) ([]byte, error) {
	for begin := len(buf); ; {
		part, err := in.ReadSlice('\n')
		if int64(len(buf)+len(part)) > max {
			return buf, errHeadTooLarge
		}
		buf = append(buf, part...)
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil {
			return buf, err
		}
		switch line := buf[begin:]; {
		case len(line) == 2 && line[0] == '\r':
			return buf[:begin], nil
		case len(line) > 1:
		case strict:
			return buf, errBareLF
		default:
			return buf[:begin], nil
		}
		begin = len(buf)
	}
}

// cutLine returns the first line of text without its end, and the rest. strict tells
// whether LF may stand without CR (RFC 9112 section 2.2 lets a recipient choose).
func cutLine(text string, strict bool) (line, rest string, err error) {
	line, rest, _ = strings.Cut(text, "\n")
	plain, crlf := strings.CutSuffix(line, "\r")
	if !crlf && strict {
		return "", "", errBareLF
	}
	return plain, rest, nil
}

// parseFields reads the field lines of a head (RFC 9112 section 5). A strict reading is
// one that no other recipient can read otherwise; one that is not takes what servers
// have always sent: lines that end in LF, and folded ones, each fold as one space.
//
// There are at most maxFields: a field of a few bytes takes a hundred as a map's.
func parseFields(text string, strict bool) (http.Header, error) {
	n := strings.Count(text, "\n")
	if n > maxFields {
		return nil, errManyFields
	}
	header, values := make(http.Header, n), make([]string, n)
	last := ""
	for text != "" {
		line, rest, err := cutLine(text, strict)
		if err != nil {
			return nil, err
		}
		text = rest
		if line != "" && (line[0] == ' ' || line[0] == '\t') {
			if strict || last == "" || !httpguts.ValidHeaderFieldValue(line) {
				return nil, errFold
			}
			list := header[last]
			list[len(list)-1] = strings.Trim(list[len(list)-1]+" "+strings.Trim(line, " \t"), " \t")
			continue
		}
		name, value, colon := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		if !colon || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, errors.New("a field line is malformed")
		}
		last = textproto.CanonicalMIMEHeaderKey(name)
		if have := header[last]; have != nil {
			header[last] = append(have, value)
			continue
		}
		values[0] = value
		header[last], values = values[:1:1], values[1:]
	}
	return header, nil
}
