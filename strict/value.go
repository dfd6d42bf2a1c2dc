package strict

import "fmt"

// Is reports whether n has the kind, and notes a problem if not.
func (r *Reader) Is(n *Node, key string, want Kind) bool {
	if n.Kind == want {
		return true
	}
	if want == String && (n.Kind == Bool || n.Kind == Number) {
		r.Fail(n, key, "this must be a string: %s", quoteFix(n))
	} else {
		r.Fail(n, key, "this must be %s, not %s", want, n.Kind)
	}
	return false
}

func quoteFix(n *Node) string {
	if n.Kind == Bool || n.Kind == Number {
		return fmt.Sprintf("write %q in quotes", Clip(n.Text))
	}
	return fmt.Sprintf("it is %s", n.Kind)
}

// Text returns a string.
func (r *Reader) Text(n *Node, key string) string {
	if n == nil || !r.Is(n, key, String) {
		return ""
	}
	return n.Text
}

// Flag returns true or false.
func (r *Reader) Flag(n *Node, key string, absent bool) bool {
	if n == nil {
		return absent
	}
	if n.Kind != Bool {
		r.Fail(n, key, "this must be true or false, without quotes")
		return absent
	}
	return n.Text == "true"
}

// List returns the items of a list; nil if it is absent, not nil if it is empty.
func (r *Reader) List(n *Node, key string) []*Node {
	if n == nil {
		return nil
	}
	if n.Kind == String || n.Kind == Number {
		r.Fail(n, key, "this must be a list: write [%s]", Clip(n.Text))
		return nil
	}
	if !r.Is(n, key, List) {
		return nil
	}
	return append(make([]*Node, 0, len(n.Items)), n.Items...)
}

// Parsed returns what parse makes of a string; its error becomes a problem.
func Parsed[T any](r *Reader, n *Node, key string, parse func(string) (T, error)) T {
	var zero T
	before := len(r.problems)
	s := r.Text(n, key)
	if n == nil || len(r.problems) > before {
		return zero
	}
	v, err := parse(s)
	if err != nil {
		r.Fail(n, key, "%v", err)
		return zero
	}
	return v
}

// ParsedList returns what parse makes of each string of a list, none of them twice.
func ParsedList[T any](r *Reader, n *Node, key string, parse func(string) (T, error)) []T {
	items := r.List(n, key)
	if items == nil {
		return nil
	}
	seen := make(map[string]bool)
	values := make([]T, 0, len(items))
	for i, item := range items {
		at := Index(key, i)
		if item.Kind == String && seen[item.Text] {
			r.Fail(item, at, "%q is listed twice: remove one", Clip(item.Text))
			continue
		}
		seen[item.Text] = true
		values = append(values, Parsed(r, item, at, parse))
	}
	return values
}
