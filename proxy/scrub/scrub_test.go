package scrub

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"
)

const token = `ghp_16C7e42F/292c+6912"E7710c838`

// encodings are ways in which a server may write the token back.
var encodings = map[string]func(string) string{
	"raw":        func(s string) string { return s },
	"query":      url.QueryEscape,
	"path":       url.PathEscape,
	"percent":    func(s string) string { return escaped(s, every, "%%%02X") },
	"hex":        func(s string) string { return hex.EncodeToString([]byte(s)) },
	"HEX":        func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	"json":       func(s string) string { b, _ := json.Marshal(s); return string(b) },
	"json \\u":   func(s string) string { return escaped(s, every, `\u%04x`) },
	".NET JSON":  func(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "+", `\u002B`), `"`, `\u0022`) },
	"encodeURI":  func(s string) string { return strings.ReplaceAll(s, `"`, "%22") },
	"quote":      func(s string) string { return strings.NewReplacer(`"`, "%22", "+", "%2B").Replace(s) },
	"html":       func(s string) string { return strings.ReplaceAll(s, `"`, "&quot;") },
	"handlebars": func(s string) string { return strings.NewReplacer(`"`, "&quot;", "/", "&#x2F;").Replace(s) },
	"Razor":      func(s string) string { return strings.NewReplacer(`"`, "&quot;", "+", "&#x2B;").Replace(s) },
	"entities":   func(s string) string { return escaped(s, every, "&#%d;") },
	"base64 0":   func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64 1":   func(s string) string { return base64.StdEncoding.EncodeToString([]byte("u" + s + "tail")) },
	"base64 2":   func(s string) string { return base64.URLEncoding.EncodeToString([]byte("u:" + s + "t")) },
	"UTF-16":     func(s string) string { return escaped(s, every, "%c\x00") },
	"UTF-16BE":   func(s string) string { return escaped(s, every, "\x00%c") },
	"basic":      func(s string) string { return base64.StdEncoding.EncodeToString([]byte("x-access-token:" + s)) },
}

func TestEverySplit(t *testing.T) {
	set := New(token)
	for name, encode := range encodings {
		t.Run(name, func(t *testing.T) {
			in := []byte("data: {\"echo\":\"" + encode(token) + "\"}\n\n" + encode(token)[:5] + " end")
			want := bytes.Clone(in)
			if set.Bytes(want) == 0 {
				t.Fatalf("not found in %q", in)
			}
			if len(want) != len(in) {
				t.Fatal("length changed")
			}
			for cut := range in {
				r := NewReader(set, io.MultiReader(bytes.NewReader(in[:cut]), bytes.NewReader(in[cut:])))
				got, err := io.ReadAll(r)
				if err != nil || !masked(got, want, in, cut) {
					t.Fatalf("split at %d: %q, %v; want %q", cut, got, err, want)
				}
				if r.Found() == 0 {
					t.Fatalf("split at %d: not counted", cut)
				}
			}
			got, err := io.ReadAll(NewReader(set, iotest.OneByteReader(bytes.NewReader(in))))
			if err != nil || len(got) != len(in) {
				t.Fatalf("byte by byte: %q, %v", got, err)
			}
			for _, piece := range pieces(token, set.loose+1) {
				if bytes.Contains(got, []byte(piece)) && !strings.Contains(string(in[len(in)-10:]), piece) {
					t.Errorf("%q is still in %q", piece, got)
				}
			}
		})
	}
}

// masked reports whether got is want, but for what was let go at the end of a piece
// because it was too short to give anything away.
func masked(got, want, in []byte, cuts ...int) bool {
	want = bytes.Clone(want)
	for _, cut := range cuts {
		for at := max(0, cut-maxLoose); at < cut; at++ {
			if at < len(got) && got[at] == in[at] {
				want[at] = in[at]
			}
		}
	}
	return bytes.Equal(got, want)
}

func pieces(s string, n int) (out []string) {
	for i := 0; i+n <= len(s); i++ {
		out = append(out, s[i:i+n])
	}
	return out
}

// Against the obvious way: replace every form, everywhere, in one text.
func FuzzReader(f *testing.F) {
	f.Add([]byte("xx"+token+token[:4]+token), 3)
	f.Add([]byte(url.QueryEscape(token)), 1)
	f.Add([]byte("aaaaaaabaaaaaabab"), 2)
	set, all := New(token, "aaaaaaab", "abaaaaaabab"), slices.Concat(forms(token), forms("aaaaaaab"), forms("abaaaaaabab"))
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		want := bytes.Clone(in)
		for _, form := range all {
			for i := 0; i+len(form) <= len(in); i++ {
				if string(in[i:i+len(form)]) == form {
					copy(want[i:], strings.Repeat("*", len(form)))
				}
			}
		}
		whole := bytes.Clone(in)
		if set.Bytes(whole); !bytes.Equal(whole, want) {
			t.Fatalf("%q; want %q", whole, want)
		}
		var parts []io.Reader
		var cuts []int
		for rest := in; len(rest) > 0; {
			n := min(len(rest), 1+int(uint(step)%7))
			parts, rest = append(parts, bytes.NewReader(rest[:n])), rest[n:]
			cuts = append(cuts, len(in)-len(rest))
		}
		got, err := io.ReadAll(NewReader(set, io.MultiReader(parts...)))
		if err != nil || !masked(got, want, in, cuts...) {
			t.Fatalf("%q, %v; want %q", got, err, want)
		}
	})
}

// A stream that pauses is not held back by a letter, and an error does not swallow bytes.
func TestStreamKeepsStreaming(t *testing.T) {
	set := New(token)
	pr, pw := io.Pipe()
	r := NewReader(set, pr)
	next := func() (string, error) {
		buf := make([]byte, 64)
		n, err := r.Read(buf)
		return string(buf[:n]), err
	}
	go func() {
		pw.Write([]byte("data: " + token[:3]))         // let go, and remembered
		pw.Write([]byte(token[3:] + "; " + token[:4])) // held back
		pw.Write([]byte("!"))
		pw.Write([]byte(token[:9]))
		pw.CloseWithError(errors.New("reset"))
	}()
	for _, want := range []string{"data: " + token[:3], strings.Repeat("*", len(token)-3) + "; ", token[:4] + "!", token[:9]} {
		if got, err := next(); err != nil || got != want {
			t.Fatalf("%q, %v; want %q", got, err, want)
		}
	}
	if got, err := next(); got != "" || err == nil || err.Error() != "reset" {
		t.Fatalf("%q, %v", got, err)
	}
}

// What a short secret begins with is never let go: it would be half of it.
func TestShortSecret(t *testing.T) {
	r := NewReader(New(token, "hunter2"), iotest.OneByteReader(strings.NewReader("password: hunter2.")))
	if got, err := io.ReadAll(r); err != nil || string(got) != "password: *******." || r.Found() != 1 {
		t.Fatalf("%q, %v, found %d", got, err, r.Found())
	}
}

// A secret that becomes known in the middle of a stream is masked from there on, and
// the one before it too.
func TestSetChanges(t *testing.T) {
	var sets atomic.Pointer[Set]
	sets.Store(New(token))
	m := NewMask(&sets)
	in := token + " and another-secret-value"
	if got := string(m.Next([]byte(in))); got != strings.Repeat("*", len(token))+" and another-secret-value" {
		t.Fatalf("%q", got)
	}
	m.Next([]byte(token[:10])) // held back
	sets.Store(New(token, "another-secret-value"))
	if got := string(m.Next([]byte(token[10:] + " and another-secret-value."))); strings.Trim(got, "* and.") != "" || m.Found() != 3 {
		t.Fatalf("%q, found %d", got, m.Found())
	}
}

// What has to leave at the end of a message is remembered for the next one.
func TestRest(t *testing.T) {
	m := NewMask(New(token))
	got := string(m.Next([]byte("x"+token[:20]))) + string(m.Rest()) + string(m.Next([]byte(token[20:]+"y"))) + string(m.Rest())
	if want := "x" + token[:20] + strings.Repeat("*", len(token)-20) + "y"; got != want || m.Found() != 1 {
		t.Fatalf("%q, found %d; want %q", got, m.Found(), want)
	}
}

func TestHeader(t *testing.T) {
	h := http.Header{"X-Echo": {"a", "Bearer " + token}, "X-" + token[:20]: {"kept"}, "X-" + strings.ToLower(token): {"name"}}
	if n := New(token).Header(h); n != 2 {
		t.Fatalf("found %d", n)
	}
	if len(h) != 2 || strings.Contains(h.Get("X-Echo"), token) || h["X-Echo"][1] != "Bearer "+strings.Repeat("*", len(token)) {
		t.Fatalf("%q", h)
	}
}

func TestNothingToFind(t *testing.T) {
	for _, set := range []*Set{nil, {}, New(), New("short")} {
		if got, n := set.String("a short text"); got != "a short text" || n != 0 {
			t.Errorf("%q, %d", got, n)
		}
		if got, _ := io.ReadAll(NewReader(set, strings.NewReader("short"))); string(got) != "short" {
			t.Errorf("%q", got)
		}
	}
}

// What a response costs that holds no token of the bottle.
func TestSpeed(t *testing.T) {
	text := bytes.Repeat([]byte(`{"id":12345,"name":"repository","html_url":"https://example.com/a/b"},`), 1<<14)
	buf := make([]byte, 64<<10)
	for _, secrets := range [][]string{{token}, {token, "hunter2"}} {
		set, total, start := New(secrets...), 0, time.Now()
		for ; time.Since(start) < 50*time.Millisecond; total += len(text) {
			r := NewReader(set, bytes.NewReader(text))
			for err := error(nil); err == nil; {
				_, err = r.Read(buf)
			}
		}
		t.Logf("figure: searching JSON for a token, the shortest of %d bytes: %.0f MB/s", len(secrets[len(secrets)-1]), float64(total)/1e6/time.Since(start).Seconds())
	}
}

// Texts that hold no secret, as a bottle downloads them; the figure is what a response
// costs that has nothing to hide.
func BenchmarkReader(b *testing.B) {
	random := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{}).Read(random)
	sets := map[string]*Set{"none": New(), "one": New(token), "short": New("hunter2")}
	var many []string
	for i := range 32 {
		many = append(many, fmt.Sprintf("%x", sha256.Sum256([]byte{byte(i)}))[:40])
	}
	sets["32"] = New(many...)
	texts := map[string][]byte{
		"json":   bytes.Repeat([]byte(`{"id":12345,"name":"repository","html_url":"https://example.com/a/b"},`), 1<<14),
		"binary": random, "base64": []byte(base64.StdEncoding.EncodeToString(random)), "hex": []byte(hex.EncodeToString(random)),
	}
	buf := make([]byte, 64<<10)
	for _, secrets := range slices.Sorted(maps.Keys(sets)) {
		for _, kind := range slices.Sorted(maps.Keys(texts)) {
			b.Run(secrets+"/"+kind, func(b *testing.B) {
				b.SetBytes(int64(len(texts[kind])))
				b.ReportAllocs()
				for b.Loop() {
					r := NewReader(sets[secrets], bytes.NewReader(texts[kind]))
					for {
						if _, err := r.Read(buf); err != nil {
							break
						}
					}
				}
			})
		}
	}
}
