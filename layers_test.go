package bottled_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// layers is the order of the rooms, top to bottom. A package may import only
// packages of a lower line, so that what judges traffic cannot reach what holds
// privileges, and what holds privileges never parses what a bottle sends.
var layers = [][]string{
	{"cmd/bottled"},
	{"cli"},
	{"daemon", "api/client"},
	{"api"},
	{"bottle"},
	{"worker"},
	{"screen"},
	{"proxy", "mcp"},
	{"dns", "launch", "trust", "policy", "proposal", "metrics", "suggest"},
	{"netns", "bpf", "cgroup"},
	{"routes", "ca", "dlp", "secret", "audit"},
	{"strict", "dlp/rules"},
}

// never are single imports that the order would allow and a reason forbids.
var never = map[string]struct {
	imports []string
	why     string
}{
	"routes": {[]string{"os", "net/http", "log/slog", "time"}, "a decision depends on the table and the query alone"},
	"proxy":  {[]string{"bottled/netns", "bottled/bpf", "bottled/cgroup", "bottled/launch", "os/exec"}, "what parses hostile bytes knows no kernel object and starts no program"},
	"dns":    {[]string{"net/http", "os/exec"}, "an answer is made here and never asked for elsewhere"},
	"api":    {[]string{"bottled/netns", "bottled/bpf", "bottled/proxy"}, "the API speaks of bottles and not of their walls"},
	"launch": {[]string{"bottled/proxy", "bottled/routes"}, "what runs in a bottle does not know the rules for it"},
}

func TestImportsPointDown(t *testing.T) {
	level := make(map[string]int)
	for i, line := range layers {
		for _, room := range line {
			level["bottled/"+room] = i
		}
	}
	for _, pkg := range packages(t) {
		from, ok := room(level, pkg.ImportPath)
		if !ok {
			continue // attack and scripts: tests and tools, imported by no room
		}
		for _, imported := range pkg.Imports {
			to, ok := room(level, imported)
			switch {
			case !ok && strings.HasPrefix(imported, "bottled/"):
				t.Errorf("%s imports %s, which has no place in the order of rooms", pkg.ImportPath, imported)
			case ok && from != to && level[to] <= level[from]:
				t.Errorf("%s imports %s: imports point down, and that one is beside or above", pkg.ImportPath, imported)
			}
			if rule, ok := never[strings.TrimPrefix(from, "bottled/")]; ok && slices.Contains(rule.imports, imported) {
				t.Errorf("%s imports %s: %s", pkg.ImportPath, imported, rule.why)
			}
		}
	}
}

// room returns the room that a package is in: itself, or the folder above it.
func room(level map[string]int, path string) (string, bool) {
	for path != "" {
		if _, ok := level[path]; ok {
			return path, true
		}
		cut := strings.LastIndexByte(path, '/')
		if cut < 0 {
			return "", false
		}
		path = path[:cut]
	}
	return "", false
}

type imports struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []imports {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []imports
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		all = append(all, imports{fields[0], fields[1:]})
	}
	return all
}
