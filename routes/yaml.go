package routes

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

const (
	// MaxManifest bounds a manifest, in bytes.
	MaxManifest = 1 << 20

	// maxDepth bounds nesting. A manifest needs 6 levels.
	maxDepth = 16
)

// yamlNode reads exactly one YAML 1.2 document, JSON being one. What makes two
// readers of a document disagree is refused: byte order marks, control
// characters, other line breaks than LF and CRLF, directives, anchors, aliases,
// tags, second documents.
func (r *reader) yamlNode(data []byte) *node {
	if !r.plainText(data) {
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		r.syntax(err)
		return nil
	}
	var doc, second yaml.Node
	switch err := loader.Load(&doc); {
	case errors.Is(err, io.EOF):
		r.fail(nil, "", "the document is empty: begin with version: 1")
		return nil
	case err != nil:
		r.syntax(err)
		return nil
	}
	switch err := loader.Load(&second); {
	case err == nil:
		r.fail(&node{line: second.Line}, "", "a second document begins here: a manifest is one document, remove the --- or ... line")
		return nil
	case !errors.Is(err, io.EOF):
		r.syntax(err)
		return nil
	}
	if len(doc.Content) != 1 {
		r.fail(nil, "", "the document is empty: begin with version: 1")
		return nil
	}
	return r.convert(doc.Content[0], 0)
}

// plainText refuses bytes that are invisible or that some readers take for a
// line break.
func (r *reader) plainText(data []byte) bool {
	if len(data) > MaxManifest {
		r.fail(nil, "", "the document is %d bytes long: the limit is %d", len(data), MaxManifest)
		return false
	}
	line := 1
	for i := 0; i < len(data); {
		c, size := utf8.DecodeRune(data[i:])
		at := &node{line: line}
		switch {
		case c == utf8.RuneError && size == 1:
			r.fail(at, "", "the byte 0x%02x is not UTF-8: save the file as UTF-8", data[i])
			return false
		case c == '\ufeff':
			r.fail(at, "", "there is a byte order mark: save the file as UTF-8 without one")
			return false
		case c == '\r' && (i+1 == len(data) || data[i+1] != '\n'),
			c < ' ' && c != '\n' && c != '\t' && c != '\r', c >= 0x7f && c < 0xa0, c == '\u2028', c == '\u2029':
			r.fail(at, "", "there is the control character %U: remove it", c)
			return false
		case c == '%' && (i == 0 || data[i-1] == '\n'):
			r.fail(at, "", "YAML directives (%%) are not supported: remove the line")
			return false
		case c == '\n':
			line++
		}
		i += size
	}
	return true
}

// syntax reports what the YAML library could not read.
func (r *reader) syntax(err error) {
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		r.fail(nil, "", "this is not valid YAML: %v", err)
		return
	}
	text, line := load.Message, load.Mark.Line
	switch {
	case strings.Contains(text, "max depth"):
		text = fmt.Sprintf("it is nested too deeply: the limit is %d levels", maxDepth)
	case strings.Contains(text, "unknown anchor"):
		text = "aliases (*) are not supported: write the value out, or put it in quotes if it begins with *"
	case strings.Contains(text, "did not find expected <document start>"):
		text = "something follows the end of the document: remove it"
	case strings.Contains(text, "cannot start any token"):
		text = "a value may not begin with this character: put it in quotes; indent with spaces, not tabs"
	default:
		text = "this is not valid YAML: " + text
	}
	r.fail(&node{line: line}, "", "%s", text)
}

// convert makes a node of what the library read, and decides itself what a plain
// scalar is: true and false are the only booleans, and numbers are decimal.
func (r *reader) convert(y *yaml.Node, depth int) *node {
	n := &node{line: y.Line, kind: nullKind, text: y.Value}
	switch {
	case depth > maxDepth:
		r.fail(n, "", "it is nested too deeply: the limit is %d levels", maxDepth)
		return n
	case y.Kind == yaml.AliasNode:
		r.fail(n, "", "aliases (*%s) are not supported: write the value out, or put it in quotes if it begins with *", clip(y.Value))
		return n
	case y.Anchor != "":
		r.fail(n, "", "anchors (&%s) are not supported: write the value out, or put it in quotes if it begins with &", clip(y.Anchor))
		return n
	case y.Style&yaml.TaggedStyle != 0:
		r.fail(n, "", "tags (%s) are not supported: remove it, or put the value in quotes if it begins with !", clip(y.Tag))
		return n
	}
	switch y.Kind {
	case yaml.MappingNode:
		n.kind = mapKind
	case yaml.SequenceNode:
		n.kind = listKind
	case yaml.ScalarNode:
		n.kind = r.scalar(y, n)
	}
	for _, c := range y.Content {
		n.items = append(n.items, r.convert(c, depth+1))
	}
	return n
}

func (r *reader) scalar(y *yaml.Node, n *node) kind {
	if y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return stringKind
	}
	switch y.ShortTag() {
	case "!!null":
		return nullKind
	case "!!bool":
		if y.Value == "true" || y.Value == "false" {
			return boolKind
		}
		r.fail(n, "", "%q is a boolean for some programs and a string for others: write true or false, or put it in quotes", y.Value)
		return nullKind
	case "!!float":
		return numberKind
	case "!!int":
		if digits := strings.TrimPrefix(y.Value, "-"); digits == "0" || digits[0] != '0' && strings.Trim(digits, "0123456789") == "" {
			return numberKind
		}
		r.fail(n, "", "%q is a number that programs read differently: write it in decimal, or in quotes if it is a string", clip(y.Value))
		return nullKind
	case "!!str", "!!merge":
		// YAML 1.1 readers take these for booleans.
		switch strings.ToLower(y.Value) {
		case "yes", "no", "on", "off", "y", "n":
			r.fail(n, "", "%q is a boolean for some programs and a string for others: write true or false, or put it in quotes", y.Value)
			return nullKind
		}
		return stringKind
	}
	r.fail(n, "", "%q is not a string for every program: put it in quotes", clip(y.Value))
	return nullKind
}
