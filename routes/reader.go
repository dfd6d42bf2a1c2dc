package routes

import "bottled/strict"

const (
	// MaxManifest bounds a manifest, in bytes.
	MaxManifest = strict.MaxYAML

	// MaxRendered bounds a rendered routes file, in bytes.
	MaxRendered = strict.MaxJSON

	// renderedName is what messages call a rendered routes file.
	renderedName = "routes"
)

// A Problem is one thing that is wrong with a document.
type Problem = strict.Problem

// Problems are all that is wrong with a document, by line: at least one. It is
// the error of [ParseManifest] and [Parse].
type Problems = strict.Problems

// A reader is the strict reader of documents, and what it knows of routes.
type reader struct{ *strict.Reader }

// port returns a port number.
func (r *reader) port(n *strict.Node, key string) uint16 {
	if n.Kind != strict.Number {
		r.Fail(n, key, "this must be a port: a number from 1 to 65535, without quotes")
		return 0
	}
	p, err := parsePort(n.Text)
	if err != nil {
		r.Fail(n, key, "%v", err)
	}
	return p
}
