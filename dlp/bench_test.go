package dlp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
)

// benchSecrets are what a bottle with five tokens has.
func benchSecrets() []Secret {
	var out []Secret
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 5 {
		b := make([]byte, 36)
		for k := range b {
			b[k] = base64Chars[r.IntN(62)]
		}
		out = append(out, Secret{Name: fmt.Sprint("token", i), Value: "tok_" + string(b)})
	}
	return out
}

func mustEngine(t testing.TB, o Options) *Engine {
	t.Helper()
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// goSource is n bytes of the standard library.
func goSource(t testing.TB, n int) []byte {
	var out []byte
	for _, dir := range []string{"net/http", "go/types", "crypto/x509", "encoding/json", "reflect", "cmd/compile/internal/ssa"} {
		files, _ := filepath.Glob(filepath.Join(command(t, "go", "env", "GOROOT"), "src", dir, "*.go"))
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if out = append(out, b...); len(out) >= n {
				return out[:n]
			}
		}
	}
	t.Fatal("GOROOT has less source than expected")
	return nil
}

// chatRequest is what an agent sends to a model: source code in JSON strings.
func chatRequest(t testing.TB, n int) []byte {
	src := string(goSource(t, n))
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	req := map[string]any{"model": "some-model", "max_tokens": 4096}
	var m []message
	for i := 0; i+4000 < len(src); i += 4000 {
		m = append(m, message{"user", "Read this file:\n\n```go\n" + src[i:i+4000] + "\n```\nIt's fine, isn't it?"})
	}
	req["messages"] = m
	b, err := json.MarshalIndent(req, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// records is JSON of short strings and numbers.
func records(n int) []byte {
	var b bytes.Buffer
	r := rand.New(rand.NewPCG(3, 4))
	b.WriteString("[\n")
	for b.Len() < n {
		fmt.Fprintf(&b, `  {"id": %d, "name": "item %d of the list", "tags": ["alpha", "beta-%d"], "price": %.2f, "url": "https://shop.example.com/items/%d?ref=list", "updated_at": "2026-03-%02dT10:11:12Z", "ok": true},`+"\n",
			r.IntN(1e9), b.Len(), r.IntN(99), r.Float64()*100, r.IntN(1e9), 1+r.IntN(28))
	}
	b.WriteString("{}]")
	return b.Bytes()
}

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(5, 6))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func gz(p []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(p)
	w.Close()
	return b.Bytes()
}

type load struct {
	name string
	body []byte
	opt  BodyOptions
	per  int // bytes one pass counts for, if not those of the body
}

func loads(t testing.TB) []load {
	src := goSource(t, 4<<20)
	return []load{
		{"source", src, BodyOptions{Type: "text/plain"}, 0},
		{"json-records", records(4 << 20), BodyOptions{Type: "application/json"}, 0},
		{"json-chat", chatRequest(t, 4<<20), BodyOptions{Type: "application/json"}, 0},
		{"base64-image", []byte(`{"image":"` + base64.StdEncoding.EncodeToString(noise(3<<20)) + `"}`), BodyOptions{Type: "application/json"}, 0},
		{"binary", noise(4 << 20), BodyOptions{}, 0},
		{"gzip-declared", gz(src), BodyOptions{Type: "text/plain", Encoding: "gzip"}, len(src)},
		{"gzip-found", gz(src), BodyOptions{}, len(src)},
	}
}

func pass(e *Engine, body []byte, o BodyOptions) error {
	s := e.Scan("")
	defer s.Close()
	g := NewGate(s, bytes.NewReader(body), o)
	defer g.Close()
	_, err := io.Copy(io.Discard, g)
	return err
}

func BenchmarkBody(b *testing.B) {
	e := mustEngine(b, Options{Secrets: benchSecrets()})
	for _, l := range loads(b) {
		b.Run(l.name, func(b *testing.B) {
			b.SetBytes(int64(max(l.per, len(l.body))))
			b.ReportAllocs()
			for b.Loop() {
				if err := pass(e, l.body, l.opt); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRequest(b *testing.B) {
	e := mustEngine(b, Options{Secrets: benchSecrets()})
	body := records(4 << 20)
	for _, n := range []int{1 << 10, 1 << 20} {
		b.Run(fmt.Sprint(n>>10, "KiB"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !letPass(e, body[:n]) {
					b.Fatal("refused")
				}
			}
		})
	}
}

// letPass reports whether a request with that body is let pass.
func letPass(e *Engine, body []byte) bool {
	s := e.Scan("r")
	s.Field(Method, "", "POST")
	s.Field(Authority, "", "api.example.com")
	s.Field(Path, "", "/v1/items/list")
	s.Field(Query, "", "page=2&sort=name")
	for _, h := range [][2]string{{"User-Agent", "curl/8.5"}, {"Accept", "application/json"}, {"Content-Type", "application/json"}, {"X-Request-Id", "4f1c2f9e"}} {
		s.Field(Header, h[0], h[1])
	}
	g := NewGate(s, bytes.NewReader(body), BodyOptions{Type: "application/json"})
	io.Copy(io.Discard, g)
	g.Close()
	return s.Close().Allowed()
}

// cpuTime is what this process has used, so that others on the machine do not count.
func cpuTime(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestSpeed prints the table, in bytes for each second of one processor, and fails only on what no load of the machine
// explains: the floor is a tenth of the target.
func TestSpeed(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector is on: no speed is measured")
		return
	}
	e := mustEngine(t, Options{Secrets: benchSecrets()})
	for _, l := range loads(t) {
		best := 0.0
		for range 5 {
			start := cpuTime(t)
			if err := pass(e, l.body, l.opt); err != nil {
				t.Fatalf("%s: %v", l.name, err)
			}
			best = max(best, float64(max(l.per, len(l.body)))/(cpuTime(t)-start).Seconds()/1e6)
		}
		t.Logf("figure: scanned %-14s %6.0f MB/s", l.name, best)
		if best < 20 {
			t.Errorf("%s: %.0f MB/s", l.name, best)
		}
	}
	body := records(1 << 20)
	for _, n := range []int{1 << 10, 1 << 20} {
		best, many := time.Hour, 2<<20/n
		for range 5 {
			start := cpuTime(t)
			for range many {
				if !letPass(e, body[:n]) {
					t.Fatal("refused")
				}
			}
			best = min(best, (cpuTime(t)-start)/time.Duration(many))
		}
		t.Logf("figure: a request of %d KiB takes %v", n>>10, best)
	}
}
