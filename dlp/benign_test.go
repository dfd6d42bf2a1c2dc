package dlp

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"bottled/dlp/rules"
)

// sample is one request body of the corpus.
type sample struct {
	name string
	body []byte
	opt  BodyOptions
}

// known are files in which a rule is right: they hold complete keys or tokens made
// up for tests and documents. They are named, so that every other finding fails.
var known = regexp.MustCompile(`(_test\.go|/testdata/.*|/elazarl/goproxy@[^/]*/certs\.go|/(elazarl/goproxy|golang-jwt/jwt/v5|prometheus/common|golang\.org/x/oauth2)/@v/[^/]*\.zip)$`)

// tree adds the files below dir whose names match, at most most bytes.
func tree(t *testing.T, dir string, match *regexp.Regexp, most int, add func(sample)) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !match.MatchString(path) {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if n += len(body); n > most {
			return fs.SkipAll
		}
		add(sample{path, body, BodyOptions{}})
		return nil
	})
	if err != nil {
		t.Fatalf("corpus: %v", err)
	}
	if n == 0 {
		t.Fatalf("corpus: nothing in %s matches %v", dir, match)
	}
}

func command(t testing.TB, name string, arg ...string) string {
	t.Helper()
	out, err := exec.Command(name, arg...).Output()
	if err != nil {
		t.Fatalf("corpus: %s %v: %v", name, arg, err)
	}
	return strings.TrimSpace(string(out))
}

// lockFile is a package-lock.json of n packages.
func lockFile(n int) []byte {
	r := rand.New(rand.NewPCG(7, 8))
	packages := map[string]any{}
	for i := range n {
		sum := sha512.Sum512([]byte{byte(i), byte(i >> 8), byte(r.Uint32())})
		packages[fmt.Sprintf("node_modules/@scope%d/package-%d", i%50, i)] = map[string]any{
			"version": fmt.Sprintf("%d.%d.%d", r.IntN(20), r.IntN(20), r.IntN(20)), "license": "MIT",
			"resolved":  fmt.Sprintf("https://registry.example.com/@scope%d/package-%d/-/package-%d.tgz", i%50, i, i),
			"integrity": "sha512-" + base64.StdEncoding.EncodeToString(sum[:]),
			"engines":   map[string]string{"node": ">=18"},
		}
	}
	b, _ := json.MarshalIndent(map[string]any{"name": "app", "lockfileVersion": 3, "packages": packages}, "", "  ")
	return b
}

// protobuf is a stream of messages with varints, strings and fixed fields.
func protobuf(n int) []byte {
	r := rand.New(rand.NewPCG(9, 10))
	var b []byte
	for len(b) < n {
		name := fmt.Sprintf("services/item-%d/metrics", r.IntN(1e6))
		b = append(b, 0x0a, byte(len(name)))
		b = append(b, name...)
		b = append(b, 0x10)
		for v := r.Uint64() >> r.IntN(64); ; v >>= 7 {
			if v < 0x80 {
				b = append(b, byte(v))
				break
			}
			b = append(b, byte(v)|0x80)
		}
		b = append(b, 0x19)
		for range 8 {
			b = append(b, byte(r.Uint32()))
		}
	}
	return b
}

// gitPack is what git sends for a repository of Go sources with two commits.
func gitPack(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	git := func(arg ...string) string {
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.com"}, arg...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("git %v: %v", arg, err)
		}
		return string(out)
	}
	git("init", "-q")
	files, _ := filepath.Glob(filepath.Join(command(t, "go", "env", "GOROOT"), "src/net/http/*.go"))
	for _, round := range []string{"", "\n// changed\n"} {
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if known.MatchString(f) {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), append(b, round...), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		git("add", ".")
		git("commit", "-q", "-m", "round")
	}
	cmd := exec.Command("git", "-C", dir, "pack-objects", "--stdout", "--all", "--delta-base-offset", "-q")
	pack, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return pack
}

// modules are the directories of what the project is built from, whatever else this
// machine's cache holds.
func modules(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-test", "-f", "{{with .Module}}{{if not .Main}}{{.Dir}}{{end}}{{end}}", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("corpus: go list: %v", err)
	}
	dirs := strings.Fields(string(out))
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// beside is the directory of the packages among which a program of Node's is one: of
// PACKAGES/npm/bin/npm-cli.js, to which npm is a link. What npm calls its root need not be there.
func beside(t *testing.T, program string) string {
	t.Helper()
	name, err := exec.LookPath(program)
	if err == nil {
		name, err = filepath.EvalSymlinks(name)
	}
	if err != nil {
		t.Fatalf("corpus: %v", err)
	}
	return filepath.Join(filepath.Dir(name), "../..")
}

func corpus(t *testing.T) []sample {
	var out []sample
	add := func(s sample) { out = append(out, s) }
	cache := command(t, "go", "env", "GOMODCACHE")
	root := command(t, "go", "env", "GOROOT")
	tree(t, filepath.Join(root, "src"), regexp.MustCompile(`\.go$`), 40<<20, add)
	for _, module := range modules(t) {
		tree(t, module, regexp.MustCompile(`\.(go|mod|sum|md|yaml|proto|json)$`), 2<<20, add)
		path, version, _ := strings.Cut(strings.TrimPrefix(module, cache), "@")
		tree(t, filepath.Join(cache, "cache/download", path, "@v"), regexp.MustCompile(`/`+regexp.QuoteMeta(version)+`\.(info|mod|ziphash|zip)$`), 2<<20, add)
	}
	tree(t, beside(t, "npm"), regexp.MustCompile(`\.(js|cjs|mjs|json|md|ts)$`), 20<<20, add)
	tree(t, root, regexp.MustCompile(`\.(png|jpe?g|gif|svg|ico|wasm|gz)$`), 10<<20, add)
	add(sample{"package-lock.json", lockFile(3000), BodyOptions{Type: "application/json"}})
	add(sample{"protobuf", protobuf(3 << 20), BodyOptions{Type: "application/grpc"}})
	add(sample{"git push", gitPack(t), BodyOptions{Type: "application/x-git-receive-pack-request"}})
	add(sample{"chat", chatRequest(t, 4<<20), BodyOptions{Type: "application/json"}})
	add(sample{"chat, compressed", gz(chatRequest(t, 4<<20)), BodyOptions{Type: "application/json", Encoding: "gzip"}})
	add(sample{"image in JSON", []byte(`{"image":"` + base64.StdEncoding.EncodeToString(noise(3<<20)) + `"}`), BodyOptions{Type: "application/json"}})
	add(sample{"noise", noise(8 << 20), BodyOptions{}})
	return out
}

// TestBenign passes ordinary traffic of developers and holds that nothing of it is
// blocked, refused or changed. The rates are printed, those of warnings too.
func TestBenign(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector is on: the corpus is left to the run without it")
		return
	}
	e := mustEngine(t, Options{Secrets: benchSecrets()})
	var bytesSeen, warnings, blocked, kept int
	byRule := map[string]int{}
	samples := corpus(t)
	var trail Trail // as if all of it went to one host
	for _, c := range samples {
		s := e.Scan("")
		s.After(&trail)
		g := NewGate(s, bytes.NewReader(c.body), c.opt)
		var got bytes.Buffer
		_, err := got.ReadFrom(g)
		g.Close()
		v := s.Close()
		bytesSeen += len(c.body)
		for _, f := range v.Findings {
			byRule[f.Rule]++
			if f.Class == rules.Generic {
				warnings++
			}
		}
		switch {
		case err == nil && bytes.Equal(got.Bytes(), c.body) && v.Action == Pass:
		case v.Action == Blocked && known.MatchString(c.name):
			kept++
			t.Logf("rightly stopped: %s: %v", filepath.Base(c.name), v.Findings)
		default:
			blocked++
			t.Errorf("%s: %v %v, %v", c.name, v.Action, v.Refusal, v.Findings)
		}
	}
	t.Logf("figure: benign: %d bodies, %d MB: %d wrongly stopped, %d files of test keys rightly stopped, %d warnings (%.2f per MB)",
		len(samples), bytesSeen>>20, blocked, kept, warnings, float64(warnings)/float64(bytesSeen>>20))
	t.Logf("by rule: %v", byRule)
}
