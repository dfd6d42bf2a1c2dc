package dlp

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// The canaries of the tests: one that only a rule knows, one the bottle's own.
const (
	ruleCanary = "ghp_R7mXq2TzLk9VbN4cWdY8sHfJ3pGa6EuQ1oKt"
	ownCanary  = "canary-Zx81kQmT5vLp0RwYb7NdHs3C"
)

func canaryEngine(t testing.TB) *Engine {
	return mustEngine(t, Options{Secrets: []Secret{{Name: "canary", Value: ownCanary}}})
}

func zl(p []byte) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write(p)
	w.Close()
	return b.Bytes()
}

func br(p []byte) []byte {
	var b bytes.Buffer
	w := brotli.NewWriter(&b)
	w.Write(p)
	w.Close()
	return b.Bytes()
}

func zst(p []byte) []byte {
	var b bytes.Buffer
	w, _ := zstd.NewWriter(&b)
	w.Write(p)
	w.Close()
	return b.Bytes()
}

func each(s string, f func(c byte) string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteString(f(s[i]))
	}
	return b.String()
}

func utf16le(s string) string { return each(s, func(c byte) string { return string([]byte{c, 0}) }) }

type encoder struct {
	name   string
	encode func(string) string
}

// encodings of the matrix, each of which may be applied to the result of another.
var encoders = []encoder{
	{"plain", func(s string) string { return s }},
	{"base64", func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }},
	{"base64url raw", func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }},
	{"base64 shifted 1", func(s string) string { return base64.StdEncoding.EncodeToString([]byte("x" + s)) }},
	{"base64 shifted 2", func(s string) string { return base64.StdEncoding.EncodeToString([]byte("xy" + s)) }},
	{"base64 behind junk", func(s string) string { return "Q" + base64.StdEncoding.EncodeToString([]byte(s)) }},
	{"base64 in lines", func(s string) string { return wrap(base64.StdEncoding.EncodeToString([]byte(s)), 24, "\r\n") }},
	{"base64 in JSON lines", func(s string) string { return wrap(base64.StdEncoding.EncodeToString([]byte(s)), 24, `\n`) }},
	{"base64 in dots", func(s string) string { return wrap(base64.StdEncoding.EncodeToString([]byte(s)), 20, ".") }},
	{"hex", func(s string) string { return hex.EncodeToString([]byte(s)) }},
	{"hex capitals", func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) }},
	{"hex behind junk", func(s string) string { return "0" + hex.EncodeToString([]byte(s)) }},
	{"base32", func(s string) string { return base32.StdEncoding.EncodeToString([]byte(s)) }},
	{"base32 small", func(s string) string { return strings.ToLower(base32.StdEncoding.EncodeToString([]byte(s))) }},
	{"percent", func(s string) string { return each(s, func(c byte) string { return fmt.Sprintf("%%%02X", c) }) }},
	{"query escape", url.QueryEscape},
	{"JSON \\u", func(s string) string { return each(s, func(c byte) string { return fmt.Sprintf(`\u%04x`, c) }) }},
	{"\\x", func(s string) string { return each(s, func(c byte) string { return fmt.Sprintf(`\x%02x`, c) }) }},
	{"octal", func(s string) string { return each(s, func(c byte) string { return fmt.Sprintf(`\%03o`, c) }) }},
	{"HTML decimal", func(s string) string { return each(s, func(c byte) string { return fmt.Sprintf("&#%d;", c) }) }},
	{"HTML hex", func(s string) string { return each(s, func(c byte) string { return fmt.Sprintf("&#x%X;", c) }) }},
	{"quoted-printable", func(s string) string { return each(s, func(c byte) string { return fmt.Sprintf("=%02X", c) }) }},
	{"soft line breaks", func(s string) string { return wrap(s, 5, "=\r\n") }},
	{"UTF-16LE", utf16le},
	{"UTF-16BE", func(s string) string { return each(s, func(c byte) string { return string([]byte{0, c}) }) }},
	{"gzip", func(s string) string { return string(gz([]byte(s))) }},
	{"zlib", func(s string) string { return string(zl([]byte(s))) }},
	{"zstd", func(s string) string { return string(zst([]byte(s))) }},
	{"full width", func(s string) string {
		return each(s, func(c byte) string { return string(rune(c) - 0x20 + 0xff00) })
	}},
	{"zero width", func(s string) string { return each(s, func(c byte) string { return string(rune(c)) + "\u200b" }) }},
	{"soft hyphens", func(s string) string { return each(s, func(c byte) string { return "\u00ad" + string(rune(c)) }) }},
	{"combining marks", func(s string) string { return each(s, func(c byte) string { return string(rune(c)) + "\u0332" }) }},
	{"one escape", func(s string) string { return s[:2] + fmt.Sprintf(`\u%04x`, s[2]) + s[3:] }},
}

func wrap(s string, n int, with string) string {
	var b strings.Builder
	for len(s) > n {
		b.WriteString(s[:n] + with)
		s = s[n:]
	}
	return b.String() + s
}

// Bytes in hex of which each stands alone show a secret of the bottle.
func TestDumps(t *testing.T) {
	e := canaryEngine(t)
	for _, format := range []string{"%02x ", "%02X:", "0x%02x, ", " %02x\n", "%02x-"} {
		dump := each(ownCanary, func(c byte) string { return fmt.Sprintf(format, c) })
		if v := scanBody(e, dump, 0, BodyOptions{}); v.Allowed() {
			t.Errorf("%s: %+v", dump, v)
		}
		if v := scanBody(e, strings.ReplaceAll(dump, "6", "7"), 0, BodyOptions{}); !v.Allowed() {
			t.Errorf("other bytes: %+v", v)
		}
	}
}

// scanBody judges a body that comes in pieces of n bytes, 0 for one piece.
func scanBody(e *Engine, body string, n int, o BodyOptions) Verdict {
	s := e.Scan("")
	b := s.Body(o)
	if n == 0 {
		n = max(1, len(body))
	}
	for i := 0; i < len(body); i += n {
		b.Write([]byte(body[i:min(i+n, len(body))]))
	}
	b.Close()
	return s.Close()
}

func TestEncodings(t *testing.T) {
	e := canaryEngine(t)
	for _, canary := range []string{ruleCanary, ownCanary} {
		for _, enc := range encoders {
			text := enc.encode(canary)
			for name, body := range map[string]string{
				"alone":   text,
				"in JSON": `{"name":"value","note":"see ` + text + `, thanks"}`,
				"in text": strings.Repeat("some text about nothing. ", 3000) + text + strings.Repeat(" and more of it", 3000),
			} {
				if v := scanBody(e, body, 0, BodyOptions{}); v.Action != Blocked {
					t.Errorf("%.4s… as %s, %s: %v", canary, enc.name, name, v)
				}
			}
			if v := scanBody(e, text, 1, BodyOptions{}); v.Action != Blocked {
				t.Errorf("%.4s… as %s, byte by byte: %v", canary, enc.name, v)
			}
		}
	}
}

func TestEncodingsNested(t *testing.T) {
	e := canaryEngine(t)
	missed, all := 0, 0
	for _, a := range encoders {
		for _, b := range encoders {
			inner := b.encode(ruleCanary)
			switch a.name {
			case "JSON \\u", "HTML decimal", "HTML hex", "UTF-16LE", "UTF-16BE": // they take runes, not bytes
				if strings.ContainsFunc(inner, func(r rune) bool { return r > 0x7e }) {
					continue
				}
			case "full width", "one escape": // of ASCII only
				if strings.ContainsFunc(inner, func(r rune) bool { return r < 0x21 || r > 0x7e }) {
					continue
				}
			case "zero width", "soft hyphens", "combining marks":
				if strings.ContainsFunc(inner, func(r rune) bool { return r > 0x7e || r == 0 }) {
					continue
				}
			}
			all++
			if v := scanBody(e, "x: "+a.encode(inner), 0, BodyOptions{}); v.Action != Blocked {
				missed++
				t.Errorf("%s of %s: %v", a.name, b.name, v.Action)
			}
		}
	}
	t.Logf("%d pairs, %d missed", all, missed)
}

func TestDepth(t *testing.T) {
	e := canaryEngine(t)
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	g := func(s string) string { return string(gz([]byte(s))) }
	for name, text := range map[string]string{
		"base64(gzip(base64))":   b64(g(b64(ruleCanary))),
		"base64(base64(base64))": b64(b64(b64(ruleCanary))),
		"hex(base64(zlib))":      hex.EncodeToString([]byte(b64(string(zl([]byte(ruleCanary)))))),
		"gzip(gzip(gzip))":       g(g(g(ruleCanary))),
		"percent^3":              url.QueryEscape(url.QueryEscape(strings.ReplaceAll(url.QueryEscape(ruleCanary), "p", "%70"))),
	} {
		if v := scanBody(e, text, 0, BodyOptions{}); v.Action != Blocked {
			t.Errorf("%s: %v", name, v)
		}
	}
	deep := mustEngine(t, Options{Limits: Limits{Depth: 1}})
	if v := scanBody(deep, b64(b64(ruleCanary)), 0, BodyOptions{}); v.Action != Pass {
		t.Errorf("depth 1 decodes twice: %v", v)
	}
}

func TestSplitAtEveryByte(t *testing.T) {
	e := canaryEngine(t)
	for _, canary := range []string{ruleCanary, ownCanary} {
		for _, enc := range encoders {
			text := "head: " + enc.encode(canary) + " tail"
			for cut := range len(text) {
				s := e.Scan("")
				b := s.Body(BodyOptions{})
				b.Write([]byte(text[:cut]))
				b.sync(true)
				b.Write([]byte(text[cut:]))
				b.Close()
				if v := s.Close(); v.Action != Blocked {
					t.Fatalf("%.4s… as %s, cut at %d: %v", canary, enc.name, cut, v)
				}
			}
		}
	}
}

// TestAtEveryOffset moves the canary over the borders of the view's blocks.
func TestAtEveryOffset(t *testing.T) {
	e := canaryEngine(t)
	text := base64.StdEncoding.EncodeToString([]byte(ruleCanary))
	step := 1
	if raceEnabled {
		step = 7
	}
	for _, what := range []string{ruleCanary, text} {
		for off := blocks[0] - 100; off < blocks[0]+100; off += step {
			body := strings.Repeat("lorem ipsum dolor ", off/18+1)[:off-1] + "\n" + what + "\n" + strings.Repeat("sit amet ", 5000)
			if v := scanBody(e, body, 0, BodyOptions{}); v.Action != Blocked {
				t.Fatalf("%.6s… at %d: %v", what, off, v)
			}
		}
	}
}

func TestContentEncodings(t *testing.T) {
	e := canaryEngine(t)
	plain := []byte(strings.Repeat("text before it ", 5000) + ruleCanary + " text after it")
	raw := zl(plain)
	for _, tc := range []struct {
		name, encoding string
		body           []byte
		want           Action
	}{
		{"identity", "identity", plain, Blocked},
		{"gzip", "gzip", gz(plain), Blocked},
		{"x-gzip", "X-GZIP", gz(plain), Blocked},
		{"deflate, zlib", "deflate", zl(plain), Blocked},
		{"deflate, raw", "deflate", raw[2 : len(raw)-4], Blocked},
		{"br", "br", br(plain), Blocked},
		{"zstd", "zstd", zst(plain), Blocked},
		{"stacked", "gzip, br", br(gz(plain)), Blocked},
		{"stacked and declared the wrong way round", "br, gzip", br(gz(plain)), Refuse},
		{"compress", "compress", plain, Refuse},
		{"unknown", "rot13", plain, Refuse},
		{"wrong label", "gzip", plain, Refuse},
		{"wrong label without a secret", "gzip", []byte("hello, world"), Refuse},
		{"multi-member", "gzip", append(gz([]byte("nothing")), gz(plain)...), Blocked},
		{"trailing data", "gzip", append(gz([]byte("nothing")), "and more"...), Refuse},
		{"trailing zlib data", "deflate", append(zl([]byte("nothing")), "and more"...), Refuse},
		{"cut short", "gzip", gz([]byte("nothing at all"))[:12], Refuse},
		{"too many", "gzip, gzip, gzip, gzip, gzip", plain, Refuse},
		{"empty", "gzip", nil, Pass},
		{"harmless", "gzip", gz([]byte("nothing at all")), Pass},
	} {
		for _, n := range []int{0, 1, 100} {
			if v := scanBody(e, string(tc.body), n, BodyOptions{Encoding: tc.encoding}); v.Action != tc.want {
				t.Errorf("%s in pieces of %d: %v %v, want %v", tc.name, n, v.Action, v.Refusal, tc.want)
			}
		}
	}
}

func TestSplitOverValues(t *testing.T) {
	e := canaryEngine(t)
	for _, canary := range []string{ruleCanary, ownCanary} {
		for cut := 1; cut < len(canary); cut++ {
			a, b := canary[:cut], canary[cut:]
			for name, tc := range map[string]struct{ kind, body string }{
				"array":        {"application/json", `["note", "` + a + `", "` + b + `", "end"]`},
				"object":       {"application/json", `{"a": "` + a + `", "b": "` + b + `"}`},
				"keys":         {"application/json", `{"` + a + `": 1, "` + b + `": 2}`},
				"ndjson":       {"application/x-ndjson", `{"a":"` + a + `"}` + "\n" + `{"a":"` + b + `"}`},
				"undeclared":   {"text/plain", `{"a":"` + a + `","z":{"a":"` + b + `"}}`},
				"with words":   {"application/json", `["hello ` + a + `", "` + b + ` world"]`},
				"escaped":      {"application/json", `["\u0041 ` + a + `","` + b + `"]`},
				"form":         {"application/x-www-form-urlencoded", "x=1&a=" + a + "&b=" + b + "&y=2"},
				"form names":   {"application/x-www-form-urlencoded", "x=1&" + a + "=v&" + b + "=v"},
				"multipart":    {"multipart/form-data; boundary=BB", "--BB\r\nContent-Disposition: form-data; name=x\r\n\r\n" + a + "\r\n--BB\r\nContent-Disposition: form-data; name=y\r\n\r\n" + b + "\r\n--BB--\r\n"},
				"no last mark": {"multipart/form-data; boundary=BB", "--BB\r\n\r\n" + a + "\r\n--BB\r\n\r\n" + b},
			} {
				for _, n := range []int{0, 1} {
					if v := scanBody(e, tc.body, n, BodyOptions{Type: tc.kind}); v.Action != Blocked {
						t.Fatalf("%.4s… cut at %d over %s, pieces of %d: %v", canary, cut, name, n, v)
					}
				}
			}
		}
	}
}

func TestFields(t *testing.T) {
	e := canaryEngine(t)
	for _, canary := range []string{ruleCanary, ownCanary} {
		a, b := canary[:15], canary[15:]
		for name, feed := range map[string]func(s *Scan){
			"method":        func(s *Scan) { s.Field(Method, "", canary) },
			"authority":     func(s *Scan) { s.Field(Authority, "", canary+".example.com") },
			"authority hex": func(s *Scan) { s.Field(Authority, "", hex.EncodeToString([]byte(canary))+".example.com") },
			"path":          func(s *Scan) { s.Field(Path, "", "/v1/"+canary+"/x") },
			"path escaped":  func(s *Scan) { s.Field(Path, "", "/v1/"+strings.ReplaceAll(canary, "R", "%52")) },
			"path segments": func(s *Scan) { s.Field(Path, "", "/v1/"+a+"/"+b) },
			"query":         func(s *Scan) { s.Field(Query, "", "q="+canary+"&n=1") },
			"query split":   func(s *Scan) { s.Field(Query, "", "q="+a+"&w="+b+"&n=1") },
			"header value":  func(s *Scan) { s.Field(Header, "x-note", "see "+canary) },
			"header name":   func(s *Scan) { s.Field(Header, canary, "1") },
			"header split":  func(s *Scan) { s.Field(Header, "x-a", a); s.Field(Header, "x-b", b) },
			"cookie":        func(s *Scan) { s.Field(Header, "cookie", "k="+canary) },
			"cookie crumbs": func(s *Scan) { s.Field(Header, "cookie", "k="+a); s.Field(Header, "cookie", "l="+b) },
			"trailer":       func(s *Scan) { s.Field(Trailer, "x-sum", canary) },
			"basic": func(s *Scan) {
				s.Field(Header, "authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("u:"+canary)))
			},
			"message": func(s *Scan) { s.Messages(Message, []byte(canary)) },
			"ping":    func(s *Scan) { s.Messages(Control, []byte(canary)) },
			"over messages": func(s *Scan) {
				s.Messages(Message, []byte(a))
				s.Messages(Control, []byte("ping"))
				s.Messages(Message, []byte(b))
			},
			"header to body": func(s *Scan) {
				s.Field(Header, "x-a", a)
				body := s.Body(BodyOptions{Type: "application/json"})
				body.Write([]byte(`["` + b + `"]`))
				body.Close()
			},
		} {
			s := e.Scan("r")
			feed(s)
			if s.Err() == nil {
				t.Errorf("%.4s… in %s: passes", canary, name)
			}
			if v := s.Close(); v.Action != Blocked || strings.Contains(fmt.Sprintf("%v %+v %#v", v, v, v), canary[4:]) {
				t.Errorf("%.4s… in %s: %v", canary, name, v)
			}
		}
	}
}

// TestGate holds that an upstream never gets a whole canary, wherever it stands and
// however the body comes in, and nothing at all of a short one.
func TestGate(t *testing.T) {
	e := canaryEngine(t)
	for _, interactive := range []bool{false, true} {
		for _, size := range []int{0, 100, 70_000, 300_000} {
			body := strings.Repeat("some text ", size/10) + ruleCanary + strings.Repeat(" more text", size/10)
			for name, r := range map[string]io.Reader{
				"whole": strings.NewReader(body), "halves": iotest.HalfReader(strings.NewReader(body)),
				"bytes": iotest.OneByteReader(strings.NewReader(body)), "data with EOF": iotest.DataErrReader(strings.NewReader(body)),
			} {
				if name == "bytes" && size > 100 {
					continue
				}
				s := e.Scan("")
				g := NewGate(s, r, BodyOptions{Interactive: interactive})
				got, err := io.ReadAll(g)
				g.Close()
				s.Close()
				if err == nil || bytes.Contains(got, []byte(ruleCanary)) {
					t.Errorf("%d bytes, %s, interactive %v: %d bytes got through, %v", size, name, interactive, len(got), err)
				}
				if !interactive && bytes.Contains(got, []byte("ghp_")) {
					t.Errorf("%d bytes, %s: the first part got through", size, name)
				}
			}
		}
	}
}

func TestGatePassesUntouched(t *testing.T) {
	e := canaryEngine(t)
	for _, l := range loads(t) {
		s := e.Scan("")
		g := NewGate(s, iotest.HalfReader(bytes.NewReader(l.body)), l.opt)
		got, err := io.ReadAll(g)
		g.Close()
		if err != nil || !bytes.Equal(got, l.body) || !s.Close().Allowed() {
			t.Errorf("%s: %d of %d bytes, %v", l.name, len(got), len(l.body), err)
		}
	}
}

func TestGateTrailer(t *testing.T) {
	e := canaryEngine(t)
	s := e.Scan("")
	defer s.Close()
	g := NewGate(s, strings.NewReader("short body"), BodyOptions{Trailer: func() { s.Field(Trailer, "x", ruleCanary) }})
	if got, err := io.ReadAll(g); err == nil || len(got) > 0 {
		t.Errorf("%q, %v: the body left before its trailer was judged", got, err)
	}
}
