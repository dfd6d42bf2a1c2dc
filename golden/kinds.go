package golden

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"bottled/strict"
)

// Kinds puts a value of each kind in the place of each value of a document that is
// taken, keys that a person names included, and holds that the reader neither falls
// over it nor answers with anything but [strict.Problems]. Nothing at all, at any
// place, is never taken.
func Kinds(t *testing.T, document []byte, read func(input []byte) error) {
	t.Helper()
	var whole any
	if err := yaml.Unmarshal(document, &whole); err != nil {
		t.Fatal(err)
	}
	if err := read(document); err != nil {
		t.Fatalf("the document itself: %v", err)
	}
	tried := 0
	for key, put := range places("", whole) {
		for _, other := range []any{nil, true, 7, -1.5, "", "a", []any{}, []any{nil}, map[string]any{}, map[string]any{"A": nil}, map[string]any{"": 1}} {
			input, err := json.Marshal(put(other))
			if err != nil {
				t.Fatal(err)
			}
			fell, err := safely(read, input)
			var problems strict.Problems
			switch {
			case fell != nil:
				t.Errorf("%s: %v: %v", key, other, fell)
			case err != nil && !errors.As(err, &problems):
				t.Errorf("%s: %v: %T %v", key, other, err, err)
			case err == nil && other == nil:
				t.Errorf("%s: nothing is taken", key)
			}
			tried++
		}
	}
	if tried < 100 {
		t.Errorf("only %d documents were tried", tried)
	}
}

func safely(read func([]byte) error, input []byte) (fell any, err error) {
	defer func() { fell = recover() }()
	return nil, read(input)
}

// places returns, for each value below v, a function that returns v with another
// value in its place.
func places(key string, v any) map[string]func(any) any {
	all := map[string]func(any) any{key: func(other any) any { return other }}
	below := func(name string, value any, with func(any) any) {
		for k, put := range places(strings.TrimPrefix(key+"."+name, "."), value) {
			all[k] = func(other any) any { return with(put(other)) }
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			below(name, value, func(other any) any {
				m := maps.Clone(v)
				m[name] = other
				return m
			})
		}
	case []any:
		for i, value := range v {
			below(fmt.Sprint(i), value, func(other any) any {
				l := slices.Clone(v)
				l[i] = other
				return l
			})
		}
	}
	return all
}
