package strict

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"
)

// MaxJSON bounds a JSON document, in bytes.
const MaxJSON = 64 << 20

// JSON reads exactly one JSON value (RFC 8259). encoding/json would fold the
// case of keys, keep the last of two equal ones and replace bytes that are not
// UTF-8; here nothing is folded, equal keys reach [Reader.object], and such bytes
// are refused. It returns nil after a problem.
func (r *Reader) JSON(data []byte) *Node {
	switch {
	case len(data) > MaxJSON:
		r.Fail(nil, "", "the document is %d bytes long: the limit is %d", len(data), MaxJSON)
		return nil
	case !utf8.Valid(data):
		r.Fail(nil, "", "the document is not UTF-8")
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
	r.Fail(&Node{Line: d.place()}, "", "this is not valid JSON: %v", err)
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

func (d *jsonReader) value(depth int) (*Node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("it is nested too deeply: the limit is %d levels", maxDepth)
	}
	token, err := d.dec.Token()
	if err != nil {
		return nil, err
	}
	n := &Node{Line: d.place()}
	switch v := token.(type) {
	case json.Delim:
		n.Kind = List
		if v == '{' {
			n.Kind = Map
		}
		for d.dec.More() {
			item, err := d.value(depth + 1)
			if err != nil {
				return nil, err
			}
			n.Items = append(n.Items, item)
		}
		_, err = d.dec.Token()
		return n, err
	case string:
		n.Kind, n.Text = String, v
	case json.Number:
		n.Kind, n.Text = Number, v.String()
	case bool:
		n.Kind, n.Text = Bool, fmt.Sprint(v)
	default:
		n.Kind = Null
	}
	return n, nil
}
