package routes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"
)

// MaxRendered bounds a rendered routes file, in bytes.
const MaxRendered = 64 << 20

// jsonNode reads exactly one JSON value (RFC 8259). encoding/json would fold the
// case of keys, keep the last of two equal ones and replace bytes that are not
// UTF-8; here nothing is folded, equal keys reach [reader.object], and such bytes
// are refused.
func (r *reader) jsonNode(data []byte) *node {
	switch {
	case len(data) > MaxRendered:
		r.fail(nil, "", "the document is %d bytes long: the limit is %d", len(data), MaxRendered)
		return nil
	case !utf8.Valid(data):
		r.fail(nil, "", "the document is not UTF-8")
		return nil
	}
	d := jsonReader{dec: json.NewDecoder(bytes.NewReader(data)), data: data, line: 1}
	d.dec.UseNumber()
	n, err := d.value(0)
	if err == nil {
		if _, err = d.dec.Token(); err == io.EOF {
			return n
		}
		err = fmt.Errorf("something follows the end of the document: remove it")
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	r.fail(&node{line: d.place()}, "", "this is not valid JSON: %v", err)
	return nil
}

type jsonReader struct {
	dec  *json.Decoder
	data []byte
	seen int64 // bytes that line counts
	line int
}

// place returns the line of the last token.
func (d *jsonReader) place() int {
	at := d.dec.InputOffset()
	d.line += bytes.Count(d.data[d.seen:at], []byte("\n"))
	d.seen = at
	return d.line
}

func (d *jsonReader) value(depth int) (*node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("it is nested too deeply: the limit is %d levels", maxDepth)
	}
	token, err := d.dec.Token()
	if err != nil {
		return nil, err
	}
	n := &node{line: d.place()}
	switch v := token.(type) {
	case json.Delim:
		n.kind = listKind
		if v == '{' {
			n.kind = mapKind
		}
		for d.dec.More() {
			item, err := d.value(depth + 1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
		_, err = d.dec.Token()
		return n, err
	case string:
		n.kind, n.text = stringKind, v
	case json.Number:
		n.kind, n.text = numberKind, v.String()
	case bool:
		n.kind, n.text = boolKind, fmt.Sprint(v)
	default:
		n.kind = nullKind
	}
	return n, nil
}
