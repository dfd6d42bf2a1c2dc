package dlp

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"
)

// field is a piece of a body that can be overwritten with asterisks, and the rest
// means what it meant.
type field struct {
	span
	// codes are bytes that stand for others in it: where there is one, only the
	// whole field can be overwritten.
	codes string
	// exact fields cannot be overwritten whole, and no byte of stops at all.
	exact bool
	stops string
}

// layout says what of a body can be overwritten.
type layout struct {
	fields []field // in order, none in another
	free   bool    // so can be what is in no field, or in several
}

// maxNested bounds multipart bodies in multipart bodies.
const maxNested = 3

// layoutOf reads a whole body as what receives it will.
func layoutOf(contentType string, body []byte) layout {
	l := layout{}
	l.read(contentType, body, 0, 0)
	return l
}

func (l *layout) read(contentType string, body []byte, at int64, depth int) {
	kind, boundary := grammarOf(contentType, body)
	if declared, _ := mediaType(contentType); kind == multipartGrammar && !strings.HasPrefix(declared, "multipart/") {
		kind = noGrammar // a text that begins like one, such as a key in PEM form
	}
	switch {
	case kind == jsonGrammar:
		l.json(body, at)
	case kind == formGrammar:
		l.form(body, at)
	case kind == multipartGrammar && depth < maxNested:
		l.multipart(body, boundary, at, depth)
	case kind == noGrammar && depth == 0:
		l.free = true
		l.words(body, at)
	case kind == noGrammar:
		l.add(field{span: span{at, at + int64(len(body))}, exact: !utf8.Valid(body)})
	}
}

func (l *layout) add(f field) {
	if f.from < f.to {
		l.fields = append(l.fields, f)
	}
}

// json adds the strings, keys too.
func (l *layout) json(body []byte, at int64) {
	for i := 0; i < len(body); i++ {
		if body[i] != '"' {
			continue
		}
		from := i + 1
		for i = from; i < len(body) && body[i] != '"'; i++ {
			if body[i] == '\\' {
				i++
			}
		}
		if i >= len(body) {
			return // it does not end, so it is no string
		}
		l.add(field{span: span{at + int64(from), at + int64(i)}, codes: `\`})
	}
}

// form adds names and values. An asterisk stands for itself there (URL Standard,
// section 5.2).
func (l *layout) form(body []byte, at int64) {
	from := 0
	for i := 0; i <= len(body); i++ {
		if i == len(body) || strings.IndexByte("&;=", body[i]) >= 0 {
			l.add(field{span: span{at + int64(from), at + int64(i)}, codes: "%+"})
			from = i + 1
		}
	}
}

// words adds what stands between spaces, quotes and the like: as much of a text as
// an encoding in it can be.
func (l *layout) words(body []byte, at int64) {
	if !utf8.Valid(body) {
		return
	}
	from := 0
	for i := 0; i <= len(body); i++ {
		if i == len(body) || body[i] <= ' ' || strings.IndexByte("\"'`<>,;()[]{}", body[i]) >= 0 {
			l.add(field{span: span{at + int64(from), at + int64(i)}})
			from = i + 1
		}
	}
}

// multipart adds the parts and the lines of their headers (RFC 2046, section 5.1).
func (l *layout) multipart(body []byte, boundary string, at int64, depth int) {
	if boundary == "" {
		line, _, _ := bytes.Cut(body, []byte("\r\n"))
		boundary = string(bytes.TrimPrefix(line, []byte("--")))
	}
	mark := []byte("\r\n--" + boundary)
	rest, ok := bytes.CutPrefix(body, mark[2:])
	if !ok || boundary == "" {
		return // a preamble is for nobody, and nothing of it is worth keeping whole
	}
	for {
		start := int64(len(body) - len(rest))
		part, after, more := bytes.Cut(rest, mark)
		if !more || !bytes.HasPrefix(part, []byte("\r\n")) {
			return
		}
		l.part(part[2:], at+start+2, depth)
		rest = after
	}
}

func (l *layout) part(part []byte, at int64, depth int) {
	contentType, encoded := "", false
	from := int64(0)
	for {
		line, _, ok := bytes.Cut(part[from:], []byte("\r\n"))
		if !ok {
			return // no empty line: it is no part
		}
		if len(line) == 0 {
			break
		}
		name, value, _ := strings.Cut(string(line), ":")
		switch strings.ToLower(name) {
		case "content-type":
			contentType = strings.TrimSpace(value)
		case "content-transfer-encoding":
			encoded = !slices.Contains([]string{"7bit", "8bit", "binary"}, strings.ToLower(strings.TrimSpace(value)))
		}
		l.add(field{span: span{at + from, at + from + int64(len(line))}, exact: true, stops: "\":;=\\%"})
		from += int64(len(line)) + 2
	}
	from += 2
	if encoded {
		l.add(field{span: span{at + from, at + int64(len(part))}, codes: "=\r\n"})
		return
	}
	l.read(contentType, part[from:], at+from, depth+1)
}
