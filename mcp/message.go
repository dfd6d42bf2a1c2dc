package mcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a message.
const (
	maxBody  = 64 << 10 // bytes
	maxDepth = 16       // objects and lists in one another
	maxID    = 128      // bytes of a request id
)

// JSON-RPC 2.0, section 5.1.
const (
	codeParse   = -32700
	codeInvalid = -32600
	codeMethod  = -32601
	codeBusy    = -32000 // of the range for servers
)

// A message is one JSON-RPC request or notification of a client, checked.
type message struct {
	id     any // string or json.Number; nil for a notification
	method string
	text   []byte // the whole message, written anew
}

// refused is why a message is no message.
type refused struct {
	code int
	why  string
}

func (r *refused) Error() string { return r.why }

func refuse(code int, format string, args ...any) error {
	return &refused{code, fmt.Sprintf(format, args...)}
}

// parseMessage reads exactly one request or notification (JSON-RPC 2.0, sections
// 4 and 4.1, as narrowed by MCP: one message, parameters by name, an id that is a
// string or an integer).
//
// Keys are compared as they are; an object in which two keys are the same, or the
// same but for their case, is refused at every depth, and so is a key of the
// envelope that is not one of JSON-RPC's. Responses are refused: this server asks
// its clients nothing.
func parseMessage(data []byte) (message, error) {
	tree, err := parseJSON(data)
	if err != nil {
		return message{}, err
	}
	envelope, ok := tree.(map[string]any)
	if !ok {
		return message{}, refuse(codeInvalid, "the body is not one JSON-RPC object: send one message a request, batches are not served")
	}
	for key := range envelope {
		if !slices.Contains([]string{"jsonrpc", "id", "method", "params"}, key) {
			return message{}, refuse(codeInvalid, "a request has no key %q: send jsonrpc, id, method and params, in lower case", shorten(key))
		}
	}
	if envelope["jsonrpc"] != "2.0" {
		return message{}, refuse(codeInvalid, `jsonrpc is not "2.0"`)
	}
	m := message{}
	if m.method, ok = envelope["method"].(string); !ok || m.method == "" {
		return message{}, refuse(codeInvalid, "the method is missing or not a string")
	}
	if id, ok := envelope["id"]; ok {
		if m.id, err = checkID(id); err != nil {
			return message{}, err
		}
	}
	if params, ok := envelope["params"]; ok {
		if _, ok := params.(map[string]any); !ok {
			return message{}, refuse(codeInvalid, "params is not an object")
		}
	}
	m.text, err = writeJSON(tree)
	return m, err
}

// checkID refuses ids that would not come back as they were sent: numbers are
// read as floating point by some.
func checkID(id any) (any, error) {
	switch v := id.(type) {
	case string:
		if v != "" && len(v) <= maxID {
			return v, nil
		}
	case json.Number:
		const exact = 1<<53 - 1
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil && -exact <= n && n <= exact {
			return v, nil
		}
	}
	return nil, refuse(codeInvalid, "the id is not a string of 1 to %d bytes, nor an integer of at most 53 bits", maxID)
}

// parseJSON reads exactly one JSON value (RFC 8259) into maps, slices, strings,
// json.Numbers, bools and nil.
func parseJSON(data []byte) (any, error) {
	switch {
	case !utf8.Valid(data):
		return nil, refuse(codeParse, "the body is not UTF-8")
	case !json.Valid(data): // the walk below shows what is in it, and is no judge of the grammar
		return nil, refuse(codeParse, "the body is not exactly one JSON value")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := parseValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, refuse(codeParse, "something follows the message")
	}
	return v, nil
}

func parseValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, refuse(codeInvalid, "the message is nested more than %d deep", maxDepth)
	}
	token, err := d.Token()
	if err != nil {
		return nil, refuse(codeParse, "the body is not JSON: %v", err)
	}
	switch token {
	case json.Delim('{'):
		return parseObject(d, depth)
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := parseValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, closing(d)
	}
	return token, nil
}

func parseObject(d *json.Decoder, depth int) (any, error) {
	object, seen := map[string]any{}, map[string]bool{}
	for d.More() {
		token, err := d.Token()
		key, ok := token.(string)
		if err != nil || !ok {
			return nil, refuse(codeParse, "the body is not JSON: %v", err)
		}
		if folded := fold(key); seen[folded] {
			return nil, refuse(codeInvalid, "the key %q occurs twice in one object, perhaps in another case", shorten(key))
		} else {
			seen[folded] = true
		}
		if object[key], err = parseValue(d, depth+1); err != nil {
			return nil, err
		}
	}
	return object, closing(d)
}

func closing(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return refuse(codeParse, "the body is not JSON: %v", err)
	}
	return nil
}

// fold gives one spelling to all that [strings.EqualFold] calls equal.
func fold(key string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, key)
}

func writeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, refuse(codeParse, "the body is not JSON: %v", err)
	}
	return b.Bytes(), nil
}

// shorten cuts what an error repeats.
func shorten(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
