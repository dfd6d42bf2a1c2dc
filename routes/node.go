package routes

import (
	"fmt"
	"slices"
	"strings"
)

// A node is one value of a document with its place, from YAML or JSON alike, so
// that one strict reader serves both.
type node struct {
	kind  kind
	text  string  // of a scalar
	items []*node // of a list; of a map: key, value, key, value, …
	line  int     // from 1
}

type kind string

const (
	nullKind   kind = "nothing"
	boolKind   kind = "true or false"
	numberKind kind = "a number"
	stringKind kind = "a string"
	listKind   kind = "a list"
	mapKind    kind = "a map"
)

// A Problem is one thing that is wrong with a document.
type Problem struct {
	File string // as given to the parser
	Line int    // from 1; 0 if it is about the whole
	Key  string // such as egress_proxy.routes[0].auth; "" for the whole
	Text string // what is wrong and what to do
}

func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	if p.Key != "" {
		b.WriteString(": " + p.Key)
	}
	return b.String() + ": " + p.Text
}

// Problems are all that is wrong with a document, by line: at least one. It is
// the error of [ParseManifest] and [Parse].
type Problems []Problem

// Error has one line for each of the first ten problems.
func (p Problems) Error() string {
	const most = 10
	lines := make([]string, 0, most+1)
	for i, problem := range p {
		if i == most {
			lines = append(lines, fmt.Sprintf("... and %d more", len(p)-most))
			break
		}
		lines = append(lines, problem.String())
	}
	return strings.Join(lines, "\n")
}

// A reader takes values out of nodes and collects what is wrong. After a problem
// it goes on with zero values, so that a person sees everything at once; whoever
// asked looks at err before using any value.
type reader struct {
	file     string
	problems Problems
}

func (r *reader) fail(n *node, key, format string, args ...any) {
	line := 0
	if n != nil {
		line = n.line
	}
	r.problems = append(r.problems, Problem{File: r.file, Line: line, Key: key, Text: fmt.Sprintf(format, args...)})
}

func (r *reader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return a.Line - b.Line })
	return r.problems
}

// object returns the values of a map by key. Only the known keys may be there,
// each once, with a value. A key that is there and was complained about is in the
// result with a nil value, so that nobody complains that it is missing.
func (r *reader) object(n *node, key string, known ...string) map[string]*node {
	values := make(map[string]*node)
	if n == nil || !r.is(n, key, mapKind) {
		return values
	}
	first := make(map[string]int)
	for i := 0; i < len(n.items); i += 2 {
		name, value := n.items[i], n.items[i+1]
		if name.kind != stringKind {
			r.fail(name, key, "a key must be a string: %s", quoteFix(name))
			continue
		}
		if line, dup := first[name.text]; dup {
			r.fail(name, key, "the key %q is here twice, first in line %d: remove one", clip(name.text), line)
			continue
		}
		first[name.text] = name.line
		switch {
		case known != nil && !slices.Contains(known, name.text):
			if meant := r.unknown(name, key, known); meant != "" && values[meant] == nil {
				values[meant] = nil
			}
		case value.kind == nullKind:
			values[name.text] = nil
			r.fail(name, join(key, name.text), "there is no value: write one, or remove the key")
		default:
			values[name.text] = value
		}
	}
	return values
}

// unknown returns the key that was probably meant, or "".
func (r *reader) unknown(name *node, key string, known []string) (meant string) {
	if name.text == "<<" {
		r.fail(name, key, "merge keys (<<) are not supported: write the keys out")
		return ""
	}
	if s := nearest(name.text, known); s != "" {
		r.fail(name, key, "unknown key %q: did you mean %q?", clip(name.text), s)
		return s
	}
	r.fail(name, key, "unknown key %q: the keys here are %s", clip(name.text), strings.Join(known, ", "))
	return ""
}

// missing reports whether the document is a map that does not have the key.
func missing(n *node, values map[string]*node, key string) bool {
	_, ok := values[key]
	return n.kind == mapKind && !ok
}

// is reports whether n has the kind, and says so if not.
func (r *reader) is(n *node, key string, want kind) bool {
	if n.kind == want {
		return true
	}
	if want == stringKind && (n.kind == boolKind || n.kind == numberKind) {
		r.fail(n, key, "this must be a string: %s", quoteFix(n))
	} else {
		r.fail(n, key, "this must be %s, not %s", want, n.kind)
	}
	return false
}

func quoteFix(n *node) string {
	if n.kind == boolKind || n.kind == numberKind {
		return fmt.Sprintf("write %q in quotes", clip(n.text))
	}
	return fmt.Sprintf("it is %s", n.kind)
}

// text returns a string.
func (r *reader) text(n *node, key string) string {
	if n == nil || !r.is(n, key, stringKind) {
		return ""
	}
	return n.text
}

// flag returns true or false.
func (r *reader) flag(n *node, key string, absent bool) bool {
	if n == nil {
		return absent
	}
	if n.kind != boolKind {
		r.fail(n, key, "this must be true or false, without quotes")
		return absent
	}
	return n.text == "true"
}

// list returns the items of a list; nil if it is absent, not nil if it is empty.
func (r *reader) list(n *node, key string) []*node {
	if n == nil {
		return nil
	}
	if n.kind == stringKind || n.kind == numberKind {
		r.fail(n, key, "this must be a list: write [%s]", clip(n.text))
		return nil
	}
	if !r.is(n, key, listKind) {
		return nil
	}
	return append(make([]*node, 0, len(n.items)), n.items...)
}

// port returns a port number.
func (r *reader) port(n *node, key string) uint16 {
	if n.kind != numberKind {
		r.fail(n, key, "this must be a port: a number from 1 to 65535, without quotes")
		return 0
	}
	p, err := parsePort(n.text)
	if err != nil {
		r.fail(n, key, "%v", err)
	}
	return p
}

// parsed returns what parse makes of a string.
func parsed[T any](r *reader, n *node, key string, parse func(string) (T, error)) T {
	var zero T
	before := len(r.problems)
	s := r.text(n, key)
	if n == nil || len(r.problems) > before {
		return zero
	}
	v, err := parse(s)
	if err != nil {
		r.fail(n, key, "%v", err)
		return zero
	}
	return v
}

// parsedList returns what parse makes of each string of a list, none of them twice.
func parsedList[T any](r *reader, n *node, key string, parse func(string) (T, error)) []T {
	items := r.list(n, key)
	if items == nil {
		return nil
	}
	seen := make(map[string]bool)
	values := make([]T, 0, len(items))
	for i, item := range items {
		at := index(key, i)
		if item.kind == stringKind && seen[item.text] {
			r.fail(item, at, "%q is listed twice: remove one", clip(item.text))
			continue
		}
		seen[item.text] = true
		values = append(values, parsed(r, item, at, parse))
	}
	return values
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

func index(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }
