package strict

import (
	"fmt"
	"slices"
	"strings"
)

// A Reader takes values out of nodes and collects what is wrong. After a problem
// it goes on with zero values, so that a person sees everything at once; whoever
// asked looks at [Reader.Err] before using any value. The nil *Node is an absent
// value, which every method takes.
type Reader struct {
	file, what string
	problems   Problems
}

// New returns a reader of the document that messages call file; what is the kind of
// document in a word, such as "manifest".
func New(file, what string) *Reader { return &Reader{file: file, what: what} }

// Fail notes a problem at a node; nil is the whole document.
func (r *Reader) Fail(n *Node, key, format string, args ...any) {
	line := 0
	if n != nil {
		line = n.Line
	}
	r.problems = append(r.problems, Problem{File: r.file, Line: line, Key: key, Text: fmt.Sprintf(format, args...)})
}

// Err returns the [Problems] so far, by line, or nil.
func (r *Reader) Err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return a.Line - b.Line })
	return r.problems
}

// Object returns the values of a map by key. Only the known keys may be there,
// each once, with a value; no known keys at all means any. A known key that is there
// and was complained about is in the result with a nil value, so that nobody
// complains that it is missing. Of keys of any name, whoever asked goes through those
// that there are, so none of those values is nil.
func (r *Reader) Object(n *Node, key string, known ...string) map[string]*Node {
	values := make(map[string]*Node)
	if n == nil || !r.Is(n, key, Map) {
		return values
	}
	first := make(map[string]int)
	for i := 0; i < len(n.Items); i += 2 {
		name, value := n.Items[i], n.Items[i+1]
		if name.Kind != String {
			r.Fail(name, key, "a key must be a string: %s", quoteFix(name))
			continue
		}
		if line, dup := first[name.Text]; dup {
			r.Fail(name, key, "the key %q is here twice, first in line %d: remove one", Clip(name.Text), line)
			continue
		}
		first[name.Text] = name.Line
		switch {
		case known != nil && !slices.Contains(known, name.Text):
			if meant := r.unknown(name, key, known); meant != "" && values[meant] == nil {
				values[meant] = nil
			}
		case value.Kind == Null:
			if known != nil {
				values[name.Text] = nil
			}
			r.Fail(name, Join(key, name.Text), "there is no value: write one, or remove the key")
		default:
			values[name.Text] = value
		}
	}
	return values
}

// unknown returns the key that was probably meant, or "".
func (r *Reader) unknown(name *Node, key string, known []string) (meant string) {
	if name.Text == "<<" {
		r.Fail(name, key, "merge keys (<<) are not supported: write the keys out")
		return ""
	}
	if s := Nearest(name.Text, known); s != "" {
		r.Fail(name, key, "unknown key %q: did you mean %q?", Clip(name.Text), s)
		return s
	}
	r.Fail(name, key, "unknown key %q: the keys here are %s", Clip(name.Text), strings.Join(known, ", "))
	return ""
}

// Missing reports whether the document is a map that does not have the key.
func Missing(n *Node, values map[string]*Node, key string) bool {
	_, ok := values[key]
	return n.Kind == Map && !ok
}

// Version holds a document to version 1, which has to be there.
func (r *Reader) Version(doc *Node, values map[string]*Node) {
	n := values["version"]
	switch {
	case Missing(doc, values, "version"):
		r.Fail(doc, "version", "it is missing: begin with version: 1")
	case n == nil:
	case n.Kind != Number:
		r.Fail(n, "version", "this must be the number 1, without quotes")
	case n.Text != "1":
		r.Fail(n, "version", "version %s is not known here: write version: 1, or upgrade bottled", Clip(n.Text))
	}
}
