// Command apiref writes docs/api-types.md: the JSON documents of the API as the Go
// types of package api and package audit define and describe them.
package main

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: apiref ROOT, which is the repository's")
		os.Exit(2)
	}
	text, err := reference(os.Args[1])
	if err == nil {
		err = os.WriteFile(filepath.Join(os.Args[1], "docs", "api-types.md"), []byte(text), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "apiref:", err)
		os.Exit(1)
	}
}

const head = `# The documents of the API

Made from the types of packages ` + "`api` and `audit`" + ` by ` + "`scripts/generate`" + `; do not edit. The calls are in [api.md](api.md).
`

// reference is the whole document. The two packages are one namespace here: no name
// is in both.
func reference(root string) (string, error) {
	var b strings.Builder
	b.WriteString(head)
	for _, dir := range []string{"api", "audit"} {
		types, err := structs(filepath.Join(root, dir))
		if err != nil {
			return "", err
		}
		for _, t := range types {
			if rows := table(t); rows != "" {
				fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| key | type | |\n|---|---|---|\n%s", t.Name, prose(t.Doc), rows)
			}
		}
	}
	return b.String(), nil
}

// structs are the exported types of a package, by name.
func structs(dir string) ([]*doc.Type, error) {
	names, err := fs.Glob(os.DirFS(dir), "*.go")
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, filepath.Join(dir, name), nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	p, err := doc.NewFromFiles(set, files, "bottled/"+filepath.Base(dir))
	if err != nil {
		return nil, err
	}
	return p.Types, nil
}

// table is one row for each field that has a key in JSON.
func table(t *doc.Type) string {
	s, ok := t.Decl.Specs[0].(*ast.TypeSpec).Type.(*ast.StructType)
	if !ok {
		return ""
	}
	var b strings.Builder
	for _, f := range s.Fields.List {
		if f.Tag == nil {
			if len(f.Names) == 0 {
				fmt.Fprintf(&b, "| | | the keys of %s |\n", typeName(f.Type))
			}
			continue
		}
		key, options, _ := strings.Cut(reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json"), ",")
		if key == "" || key == "-" {
			continue
		}
		text := prose(f.Doc.Text() + f.Comment.Text())
		if options != "" { // omitempty or omitzero
			text = strings.TrimSpace(text + " (may be absent)")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", key, typeName(f.Type), strings.ReplaceAll(text, "|", `\|`))
	}
	if !strings.Contains(b.String(), "`") {
		return ""
	}
	return b.String()
}

// jsonTypes are what Go's basic types are in JSON.
var jsonTypes = map[string]string{
	"string": "string", "bool": "boolean", "int": "number", "int64": "number", "uint64": "number", "uint32": "number",
	"json.RawMessage": "object", "time.Time": "RFC 3339 time", "time.Duration": "nanoseconds", "netip.AddrPort": "address:port",
	"Path": "string", "Verdict": `"allow" or "deny"`, "Kind": "string", "State": "string",
}

func typeName(e ast.Expr) string {
	name := ""
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.ArrayType:
		return "list of " + typeName(e.Elt)
	case *ast.MapType:
		return "object of " + typeName(e.Value)
	case *ast.SelectorExpr:
		name = e.X.(*ast.Ident).Name + "." + e.Sel.Name
	case *ast.Ident:
		name = e.Name
	}
	if known, ok := jsonTypes[name]; ok {
		return known
	}
	return "[" + name + "](#" + strings.ToLower(name) + ")"
}

var docLink = regexp.MustCompile(`\[([A-Za-z.]+)\]`)

// prose is a comment on one line.
func prose(comment string) string {
	return docLink.ReplaceAllString(strings.Join(strings.Fields(comment), " "), "`$1`")
}
