package routes

import (
	"fmt"
	"testing"
)

// bigTable has n hosts, one in ten a wildcard, and on the last an API with 100
// path entries.
func bigTable(b *testing.B, n int) *Table {
	b.Helper()
	list := make([]*Route, 0, n)
	for i := range n - 1 {
		name := fmt.Sprintf("h%d.example.com", i)
		if i%10 == 0 {
			name = "*." + name
		}
		p, err := ParsePattern(name)
		if err != nil {
			b.Fatal(err)
		}
		list = append(list, &Route{Host: p, Protocol: HTTP, AnyPath: true})
	}
	p, err := ParsePattern("api.example.com")
	if err != nil {
		b.Fatal(err)
	}
	r := &Route{Host: p, Protocol: HTTP}
	for i := range 100 {
		e, err := ParsePathPattern(fmt.Sprintf("/repos/acme/r%d/", i))
		if err != nil {
			b.Fatal(err)
		}
		r.Paths = append(r.Paths, e)
	}
	t, err := NewTable(append(list, r), 1)
	if err != nil {
		b.Fatal(err)
	}
	return t
}

func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		t := bigTable(b, n)
		for _, bc := range []struct {
			name, url string
			want      Reason
		}{
			{"exact", "https://h1.example.com/index.html?q=1", ReasonAllowed},
			{"wildcard", "https://a.b.h0.example.com/index.html", ReasonAllowed},
			{"paths", "https://api.example.com/repos/acme/r99/issues/7", ReasonAllowed},
			{"denied", "https://nowhere.example.org/", ReasonHost},
		} {
			q := query(b, "GET", bc.url)
			b.Run(fmt.Sprintf("%s/routes=%d", bc.name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if d := t.Decide(q); d.Reason != bc.want {
						b.Fatal(d)
					}
				}
			})
		}
	}
}
