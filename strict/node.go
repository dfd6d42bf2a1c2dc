package strict

import "fmt"

// A Node is one value of a document with its place, from YAML or JSON alike, so
// that one strict reader serves both.
type Node struct {
	Kind  Kind
	Text  string  // of a scalar
	Items []*Node // of a list; of a map: key, value, key, value, …
	Line  int     // from 1
}

// Kind is what a value is, in the words of a message.
type Kind string

// The kinds of a value.
const (
	Null   Kind = "nothing"
	Bool   Kind = "true or false"
	Number Kind = "a number"
	String Kind = "a string"
	List   Kind = "a list"
	Map    Kind = "a map"
)

// maxDepth bounds nesting. A manifest needs 6 levels.
const maxDepth = 16

// Join returns the key of a value in a map, as messages show it.
func Join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

// Index returns the key of an item of a list, as messages show it.
func Index(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }

// Clip bounds input that may be hostile before it goes into a message.
func Clip(s string) string {
	if len(s) > 120 {
		return s[:120] + "..."
	}
	return s
}
