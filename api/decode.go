package api

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds nesting; the deepest document of the API has two levels.
const maxDepth = 8

// decode reads the one JSON document of a request into v, a pointer to a struct.
// encoding/json takes a key in any case and lets the last of two win, so that a
// checker and a reader can differ about what a document says; here a key is spelled
// exactly, comes once, and is known (RFC 8259, section 4).
func decode(data []byte, v any) error {
	if !utf8.Valid(data) {
		return invalidf("the body is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if err := checkValue(d, reflect.TypeOf(v).Elem(), "", 0); err != nil {
		return asInvalid(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return invalidf("the body has something after its one JSON document")
	}
	d = json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return asInvalid(d.Decode(v))
}

func asInvalid(err error) error {
	switch err.(type) {
	case nil, refusal:
		return err
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return invalidf("the body ends before its JSON document does")
	}
	return invalidf("the body is not what is expected here: %v", err)
}

// checkValue walks one value as t would hold it. at names it in errors.
func checkValue(d *json.Decoder, t reflect.Type, at string, depth int) error {
	tok, err := d.Token()
	if err != nil {
		return err
	}
	if depth > maxDepth {
		return invalidf("the body is nested more than %d deep", maxDepth)
	}
	switch tok {
	case json.Delim('{'):
		return checkObject(d, t, at, depth)
	case json.Delim('['):
		for d.More() {
			if err := checkValue(d, elem(t), at, depth+1); err != nil {
				return err
			}
		}
		_, err = d.Token()
	case nil:
		return invalidf("key %q: null is not a value; leave the key out", at)
	}
	return err
}

func checkObject(d *json.Decoder, t reflect.Type, at string, depth int) error {
	known := fields(t)
	seen := make(map[string]bool)
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return err
		}
		key := tok.(string)
		at := strings.TrimPrefix(at+"."+key, ".")
		if seen[key] {
			return invalidf("key %q comes twice", at)
		}
		seen[key] = true
		vt, ok := known[key]
		if known == nil {
			vt, ok = elem(t), true
		}
		if !ok {
			return invalidf("key %q is not known here (keys are spelled exactly)", at)
		}
		if err := checkValue(d, vt, at, depth+1); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// fields maps the keys of a struct to their types; nil for anything else.
func fields(t reflect.Type) map[string]reflect.Type {
	if t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	known := make(map[string]reflect.Type)
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		known[name] = f.Type
	}
	return known
}

// elem is what t is made of, or nil: the decoding proper then finds the mismatch.
func elem(t reflect.Type) reflect.Type {
	if t != nil && (t.Kind() == reflect.Map || t.Kind() == reflect.Slice) {
		return t.Elem()
	}
	return nil
}
