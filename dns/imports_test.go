package dns

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestCannotDial holds the package to its promise that it forwards nothing: no import that
// could, and of package net only what waits for others.
func TestCannotDial(t *testing.T) {
	imports := []string{
		"container/list", "context", "encoding/binary", "errors", "fmt", "io", "net", "net/netip", "slices",
		"strconv", "strings", "sync", "syscall", "time",
		"bottled/routes", "golang.org/x/net/dns/dnsmessage", "golang.org/x/net/ipv4", "golang.org/x/net/ipv6", "golang.org/x/time/rate",
	}
	used := map[string][]string{
		"net":     {"Addr", "Conn", "ErrClosed", "Listener", "UDPConn"},
		"syscall": nil, // error numbers
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		files++
		f, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range f.Imports {
			if path, _ := strconv.Unquote(spec.Path.Value); !slices.Contains(imports, path) || spec.Name != nil {
				t.Errorf("%s imports %s", e.Name(), path)
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			allowed, watched := used[pkg.Name]
			errno := pkg.Name == "syscall" && sel.Sel.Name[0] == 'E'
			if watched && !errno && !slices.Contains(allowed, sel.Sel.Name) {
				t.Errorf("%s uses %s.%s", e.Name(), pkg.Name, sel.Sel.Name)
			}
			return true
		})
	}
	if files == 0 {
		t.Fatal("no file was looked at")
	}
}
