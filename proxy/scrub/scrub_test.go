package scrub

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
)

const token = `ghp_16C7e42F/292c+6912"E7710c838`

// encodings are ways in which a server may write the token back.
var encodings = map[string]func(string) string{
	"raw":      func(s string) string { return s },
	"query":    url.QueryEscape,
	"path":     url.PathEscape,
	"percent":  func(s string) string { return everyByte(s, "%%%02X") },
	"hex":      func(s string) string { return hex.EncodeToString([]byte(s)) },
	"HEX":      func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	"json":     func(s string) string { b, _ := json.Marshal(s); return string(b) },
	"json \\u": func(s string) string { return everyByte(s, `\u%04x`) },
	"base64 0": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64 1": func(s string) string { return base64.StdEncoding.EncodeToString([]byte("u" + s + "tail")) },
	"base64 2": func(s string) string { return base64.URLEncoding.EncodeToString([]byte("u:" + s + "t")) },
	"UTF-16":   func(s string) string { return everyByte(s, "%c\x00") },
	"UTF-16BE": func(s string) string { return everyByte(s, "\x00%c") },
	"basic":    func(s string) string { return base64.StdEncoding.EncodeToString([]byte("x-access-token:" + s)) },
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
				r := set.Reader(io.MultiReader(bytes.NewReader(in[:cut]), bytes.NewReader(in[cut:])))
				got, err := io.ReadAll(r)
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("split at %d: %q, %v; want %q", cut, got, err, want)
				}
				if r.Found() == 0 {
					t.Fatalf("split at %d: not counted", cut)
				}
			}
			got, err := io.ReadAll(set.Reader(iotest.OneByteReader(bytes.NewReader(in))))
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("byte by byte: %q, %v", got, err)
			}
			for _, piece := range pieces(token, 12) {
				if bytes.Contains(got, []byte(piece)) && !strings.Contains(string(in[len(in)-10:]), piece) {
					t.Errorf("%q is still in %q", piece, got)
				}
			}
		})
	}
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
	set := New(token)
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		want := bytes.Clone(in)
		for _, form := range forms(token) {
			for i := 0; i+len(form) <= len(in); i++ {
				if string(in[i:i+len(form)]) == form {
					copy(want[i:], strings.Repeat("*", len(form)))
				}
			}
		}
		var parts []io.Reader
		for rest := in; len(rest) > 0; {
			n := min(len(rest), 1+int(uint(step)%7))
			parts, rest = append(parts, bytes.NewReader(rest[:n])), rest[n:]
		}
		got, err := io.ReadAll(set.Reader(io.MultiReader(parts...)))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%q, %v; want %q", got, err, want)
		}
	})
}

// A stream that pauses is not held back, and an error does not swallow bytes.
func TestStreamKeepsStreaming(t *testing.T) {
	set := New(token)
	pr, pw := io.Pipe()
	r := set.Reader(pr)
	go func() {
		pw.Write([]byte("data: one\n\n"))
		pw.Write([]byte("gh")) // may begin the token
		pw.CloseWithError(errors.New("reset"))
	}()
	buf := make([]byte, 64)
	n, err := r.Read(buf)
	if err != nil || string(buf[:n]) != "data: one\n\n" {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	rest, err := io.ReadAll(r)
	if string(rest) != "gh" || err == nil || err.Error() != "reset" {
		t.Fatalf("%q, %v", rest, err)
	}
}

func TestHeader(t *testing.T) {
	h := http.Header{"X-Echo": {"a", "Bearer " + token}, "X-" + token[:20]: {"kept"}, token: {"name"}}
	if n := New(token).Header(h); n != 2 {
		t.Fatalf("found %d", n)
	}
	if _, there := h[token]; there || strings.Contains(h.Get("X-Echo"), token) || h["X-Echo"][1] != "Bearer "+strings.Repeat("*", len(token)) {
		t.Fatalf("%q", h)
	}
}

func TestNothingToFind(t *testing.T) {
	for _, set := range []*Set{nil, {}, New(), New("short")} {
		if got, n := set.String("a short text"); got != "a short text" || n != 0 {
			t.Errorf("%q, %d", got, n)
		}
		if got, _ := io.ReadAll(set.Reader(strings.NewReader("short"))); string(got) != "short" {
			t.Errorf("%q", got)
		}
	}
}

func BenchmarkReader(b *testing.B) {
	set := New(token)
	text := bytes.Repeat([]byte(`{"id":12345,"name":"repository","html_url":"https://example.com/a/b"},`), 1<<14)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := io.Copy(io.Discard, set.Reader(bytes.NewReader(text))); err != nil {
			b.Fatal(err)
		}
	}
}
