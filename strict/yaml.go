package strict

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// MaxYAML bounds a YAML document, in bytes.
const MaxYAML = 1 << 20

// YAML reads exactly one YAML 1.2 document, JSON being one. What makes two
// readers of a document disagree is refused: byte order marks, control
// characters, other line breaks than LF and CRLF, directives, anchors, aliases,
// tags, second documents. It returns nil after a problem.
func (r *Reader) YAML(data []byte) *Node {
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
		r.Fail(nil, "", "the document is empty: begin with version: 1")
		return nil
	case err != nil:
		r.syntax(err)
		return nil
	}
	switch err := loader.Load(&second); {
	case err == nil:
		r.Fail(&Node{Line: second.Line}, "", "a second document begins here: a %s is one document, remove the --- or ... line", r.what)
		return nil
	case !errors.Is(err, io.EOF):
		r.syntax(err)
		return nil
	}
	if len(doc.Content) != 1 {
		r.Fail(nil, "", "the document is empty: begin with version: 1")
		return nil
	}
	return r.convert(doc.Content[0], 0)
}

// plainText refuses bytes that are invisible or that some readers take for a
// line break.
func (r *Reader) plainText(data []byte) bool {
	if len(data) > MaxYAML {
		r.Fail(nil, "", "the document is %d bytes long: the limit is %d", len(data), MaxYAML)
		return false
	}
	line := 1
	for i := 0; i < len(data); {
		c, size := utf8.DecodeRune(data[i:])
		at := &Node{Line: line}
		switch {
		case c == utf8.RuneError && size == 1:
			r.Fail(at, "", "the byte 0x%02x is not UTF-8: save the file as UTF-8", data[i])
			return false
		case c == '\ufeff':
			r.Fail(at, "", "there is a byte order mark: save the file as UTF-8 without one")
			return false
		case c == '\r' && (i+1 == len(data) || data[i+1] != '\n'),
			c < ' ' && c != '\n' && c != '\t' && c != '\r', c >= 0x7f && c < 0xa0, c == '\u2028', c == '\u2029':
			r.Fail(at, "", "there is the control character %U: remove it", c)
			return false
		case c == '%' && (i == 0 || data[i-1] == '\n'):
			r.Fail(at, "", "YAML directives (%%) are not supported: remove the line")
			return false
		case c == '\n':
			line++
		}
		i += size
	}
	return true
}

// syntax reports what the YAML library could not read.
func (r *Reader) syntax(err error) {
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		r.Fail(nil, "", "this is not valid YAML: %v", err)
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
	r.Fail(&Node{Line: line}, "", "%s", text)
}

// convert makes a node of what the library read, and decides itself what a plain
// scalar is: true and false are the only booleans, and numbers are decimal.
func (r *Reader) convert(y *yaml.Node, depth int) *Node {
	n := &Node{Line: y.Line, Kind: Null, Text: y.Value}
	switch {
	case depth > maxDepth:
		r.Fail(n, "", "it is nested too deeply: the limit is %d levels", maxDepth)
		return n
	case y.Kind == yaml.AliasNode:
		r.Fail(n, "", "aliases (*%s) are not supported: write the value out, or put it in quotes if it begins with *", Clip(y.Value))
		return n
	case y.Anchor != "":
		r.Fail(n, "", "anchors (&%s) are not supported: write the value out, or put it in quotes if it begins with &", Clip(y.Anchor))
		return n
	case y.Style&yaml.TaggedStyle != 0:
		r.Fail(n, "", "tags (%s) are not supported: remove it, or put the value in quotes if it begins with !", Clip(y.Tag))
		return n
	}
	switch y.Kind {
	case yaml.MappingNode:
		n.Kind = Map
	case yaml.SequenceNode:
		n.Kind = List
	case yaml.ScalarNode:
		n.Kind = r.scalar(y, n)
	}
	for _, c := range y.Content {
		n.Items = append(n.Items, r.convert(c, depth+1))
	}
	return n
}

func (r *Reader) scalar(y *yaml.Node, n *Node) Kind {
	if y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return String
	}
	switch y.ShortTag() {
	case "!!null":
		return Null
	case "!!bool":
		if y.Value == "true" || y.Value == "false" {
			return Bool
		}
		r.Fail(n, "", "%q is a boolean for some programs and a string for others: write true or false, or put it in quotes", y.Value)
		return Null
	case "!!float":
		return Number
	case "!!int":
		if digits := strings.TrimPrefix(y.Value, "-"); digits == "0" || digits[0] != '0' && strings.Trim(digits, "0123456789") == "" {
			return Number
		}
		r.Fail(n, "", "%q is a number that programs read differently: write it in decimal, or in quotes if it is a string", Clip(y.Value))
		return Null
	case "!!str", "!!merge":
		// YAML 1.1 readers take these for booleans.
		switch strings.ToLower(y.Value) {
		case "yes", "no", "on", "off", "y", "n":
			r.Fail(n, "", "%q is a boolean for some programs and a string for others: write true or false, or put it in quotes", y.Value)
			return Null
		}
		return String
	}
	r.Fail(n, "", "%q is not a string for every program: put it in quotes", Clip(y.Value))
	return Null
}
