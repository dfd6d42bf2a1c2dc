package dlp

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"bottled/attack"
	"bottled/dlp/rules"
)

// upstream is what a fake upstream received: head and body, as bytes.
type upstream struct{ bytes.Buffer }

// request is one attempt to get the canary out.
type request struct {
	fields [][3]string // kind by name, name, value
	body   string
	opt    BodyOptions
	chunk  int // bytes a read of the body returns, 0: all
}

var kinds = map[string]Kind{"method": Method, "authority": Authority, "path": Path, "query": Query, "header": Header}

type chunks struct {
	r io.Reader
	n int
}

func (c chunks) Read(p []byte) (int, error) {
	if c.n > 0 {
		p = p[:min(c.n, len(p))]
	}
	return c.r.Read(p)
}

// send forwards r to up, judged by s if that is not nil: the head when its fields
// are, the body through a gate.
func send(up *upstream, s *Scan, r request) error {
	for _, f := range r.fields {
		if s != nil {
			f[2] = s.Field(kinds[f[0]], f[1], f[2])
		}
	}
	if s != nil && s.Err() != nil {
		return s.Err()
	}
	for _, f := range r.fields {
		fmt.Fprintf(up, "%s %s: %s\n", f[0], f[1], f[2])
	}
	var body io.Reader = chunks{strings.NewReader(r.body), r.chunk}
	if s != nil {
		g := NewGate(s, body, r.opt)
		defer g.Close()
		body = g
	}
	_, err := io.Copy(up, body)
	return err
}

// stopped runs r against a naive scanner, which looks for the canary as it is and
// must be fooled, or, for what is not even hidden, against no scanner; and against
// the engine, which must stop it before the upstream can put the canary together.
func stopped(t *testing.T, id, name string, e *Engine, r request, naive bool) {
	attack.Stopped(t, id, name,
		func(t *testing.T) error {
			var up upstream
			if err := send(&up, nil, r); err != nil {
				return err
			}
			if naive && strings.Contains(up.String(), ruleCanary) {
				return errors.New("a naive scanner finds it")
			}
			return nil
		},
		func(t *testing.T) error {
			var up upstream
			s := e.Scan("")
			err := send(&up, s, r)
			if v := s.Close(); v.Allowed() {
				return nil
			}
			if err == nil || len(r.body) > 0 && strings.HasSuffix(up.String(), r.body) {
				return nil // it left all the same
			}
			if strings.Contains(up.String(), ruleCanary) {
				return nil
			}
			return err
		})
}

func TestAttackSlots(t *testing.T) {
	e := canaryEngine(t)
	for _, slot := range [][3]string{
		{"method", "", ruleCanary}, {"authority", "", ruleCanary + ".example.com"}, {"path", "", "/a/" + ruleCanary},
		{"query", "", "q=" + ruleCanary}, {"header", "x-note", ruleCanary}, {"header", ruleCanary, "1"},
		{"header", "cookie", "a=b; c=" + ruleCanary}, {"header", "content-type", "multipart/form-data; boundary=" + ruleCanary},
	} {
		stopped(t, "L01", "plain in the "+slot[0]+" "+slot[1][:min(8, len(slot[1]))], e, request{fields: [][3]string{slot}}, false)
	}
	stopped(t, "L01", "plain in the body", e, request{body: "x=" + ruleCanary}, false)
	stopped(t, "L01", "multipart file name", e, request{opt: BodyOptions{Type: "multipart/form-data; boundary=B"},
		body: "--B\r\nContent-Disposition: form-data; name=f; filename=\"" + ruleCanary + "\"\r\n\r\nx\r\n--B--\r\n"}, false)
	trailer := func(judge bool) error {
		var up upstream
		s := e.Scan("")
		defer s.Close()
		g := NewGate(s, strings.NewReader("body"), BodyOptions{Trailer: func() {
			if judge {
				s.Field(Trailer, "x-sum", ruleCanary)
			}
		}})
		defer g.Close()
		if _, err := io.Copy(&up, g); err != nil {
			return err
		}
		up.WriteString(ruleCanary)
		return nil
	}
	attack.Stopped(t, "L01", "plain in a trailer",
		func(t *testing.T) error { return trailer(false) }, func(t *testing.T) error { return trailer(true) })
}

// document is text long enough to be coded when it is compressed, not stored.
var document = strings.Repeat("A line of a document, and a few words: jump fox, quiz, 0123456789.\n", 40) +
	"abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ " + ruleCanary + "\n"

func TestAttackNesting(t *testing.T) {
	e := canaryEngine(t)
	for _, a := range encoders[1:] {
		body := "data: " + a.encode(ruleCanary)
		if strings.Contains(body, ruleCanary) {
			body = "data: " + a.encode(document) // short, it is stored as it is
		}
		if !strings.Contains(body, ruleCanary) {
			stopped(t, "L03", a.name, e, request{body: body}, true)
		}
	}
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	stopped(t, "L03", "base64(gzip(base64))", e, request{body: b64(string(gz([]byte(b64(ruleCanary)))))}, true)
	stopped(t, "L03", "base64 three times", e, request{body: b64(b64(b64(ruleCanary)))}, true)
}

func TestAttackContentEncoding(t *testing.T) {
	e := canaryEngine(t)
	doc := []byte(document)
	raw := zl(doc)
	for _, r := range []struct {
		encoding string
		body     []byte
	}{
		{"gzip", gz(doc)}, {"x-gzip", gz(doc)}, {"deflate", raw}, {"deflate", raw[2 : len(raw)-4]},
		{"br", br(doc)}, {"zstd", zst(doc)}, {"gzip, br", br(gz(doc))},
		{"compress", gz(doc)}, {"x-own", br(doc)}, {"br", gz(doc)},
		{"gzip", append(gz([]byte("a")), gz(doc)...)}, {"gzip", append(gz([]byte("a")), utf16le(ruleCanary)...)},
	} {
		hidden := !bytes.Contains(r.body, []byte(ruleCanary)) // zstd may leave letters as they are
		stopped(t, "L04", r.encoding, e, request{body: string(r.body), opt: BodyOptions{Encoding: r.encoding}}, hidden)
	}
}

func TestAttackSplit(t *testing.T) {
	e := canaryEngine(t)
	pad := strings.Repeat("padding ", 20_000)
	for _, n := range []int{1, 2, 7, 39, 4096} {
		stopped(t, "L06", fmt.Sprintf("chunks of %d bytes", n), e, request{body: pad[:max(8, n)] + ruleCanary + pad[:8], chunk: n}, false)
	}
	a, b := ruleCanary[:17], ruleCanary[17:]
	stopped(t, "L07", "path segments", e, request{fields: [][3]string{{"path", "", "/" + a + "/" + b}}}, true)
	stopped(t, "L07", "query parameters among others", e, request{fields: [][3]string{{"query", "", "n=&a=" + a + "&b=" + b + "&z=;"}}}, true)
	stopped(t, "L07", "headers", e, request{fields: [][3]string{{"header", "x-a", a}, {"header", "x-b", b}}}, true)
	stopped(t, "G15", "cookie crumbs", e, request{fields: [][3]string{{"header", "cookie", "a=" + a}, {"header", "cookie", "b=" + b}}}, true)
	attack.Stopped(t, "G16", "anywhere in a stream that goes on",
		func(t *testing.T) error {
			var up upstream
			io.Copy(&up, io.LimitReader(io.MultiReader(strings.NewReader(pad+ruleCanary), forever{}), 1<<20))
			if !strings.Contains(up.String(), ruleCanary) {
				return errors.New("the canary did not arrive")
			}
			return nil
		},
		func(t *testing.T) error {
			for off := 0; off < 150_000; off += 9_973 {
				s := e.Scan("")
				g := NewGate(s, io.MultiReader(strings.NewReader(pad[:off/8*8]+ruleCanary), forever{}), BodyOptions{Interactive: true})
				var up upstream
				_, err := io.Copy(&up, io.LimitReader(g, 1<<20))
				s.Close()
				if err == nil || strings.Contains(up.String(), ruleCanary) {
					return nil
				}
			}
			return errors.New("found at every offset, before its last byte left")
		})
}

// forever is a body that never ends.
type forever struct{}

func (forever) Read(p []byte) (int, error) { return copy(p, "and so on. "), nil }

func TestAttackFrames(t *testing.T) {
	e := canaryEngine(t)
	for name, frame := range map[string]func(s *Scan, up *upstream) error{
		"one frame": func(s *Scan, up *upstream) error { return forward(s, up, Message, ruleCanary) },
		"fragments of one byte": func(s *Scan, up *upstream) error {
			var err error
			for i := 0; i < len(ruleCanary) && err == nil; i++ {
				err = errors.Join(forward(s, up, Message, ruleCanary[i:i+1]), forward(s, up, Control, "ping"))
			}
			return err
		},
		"ping":         func(s *Scan, up *upstream) error { return forward(s, up, Control, ruleCanary) },
		"close reason": func(s *Scan, up *upstream) error { return forward(s, up, Control, "\x03\xe8"+ruleCanary) },
		"base64":       func(s *Scan, up *upstream) error { return forward(s, up, Message, encoders[1].encode(ruleCanary)) },
	} {
		attack.Stopped(t, "W04", name,
			func(t *testing.T) error { return frame(nil, new(upstream)) },
			func(t *testing.T) error {
				var up upstream
				s := e.Scan("")
				defer s.Close()
				err := frame(s, &up)
				if strings.Contains(strings.ReplaceAll(up.String(), "ping", ""), ruleCanary) {
					return nil
				}
				return err
			})
	}
}

func forward(s *Scan, up *upstream, k Kind, p string) error {
	if s != nil {
		if err := s.Messages(k, []byte(p)); err != nil {
			return err
		}
	}
	up.WriteString(p)
	return nil
}

func TestAttackMultipart(t *testing.T) {
	e := canaryEngine(t)
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	inner := multipart.NewWriter(&b)
	w.CreateFormField("a")
	inner.CreateFormField("b")
	io.WriteString(&b, base64.StdEncoding.EncodeToString([]byte(ruleCanary)))
	stopped(t, "L09", "nested, base64, no last boundary", e, request{body: b.String(), opt: BodyOptions{Type: w.FormDataContentType()}}, true)
	for _, body := range []string{
		ruleCanary[:20] + "\r\n--B\r\n\r\n" + ruleCanary[20:] + "\r\n--B--\r\n", // the preamble
		"--B\r\n\r\n" + ruleCanary[:20] + "\r\n--B--\r\n" + ruleCanary[20:],     // the epilogue
	} {
		stopped(t, "L09", "over preamble or epilogue", e, request{body: body, opt: BodyOptions{Type: "multipart/form-data; boundary=B"}}, true)
	}
	parts := 1_000_000
	if raceEnabled { // where everything takes ten times as long
		parts = 200_000
	}
	many := func() io.Reader {
		part := strings.NewReader("")
		n := 0
		return readerFunc(func(p []byte) (int, error) {
			if part.Len() == 0 {
				if n++; n > parts {
					return 0, io.EOF
				}
				part.Reset("--B\r\nContent-Disposition: form-data; name=a\r\n\r\nv\r\n")
			}
			return part.Read(p)
		})
	}
	attack.Stopped(t, "L09", "a flood of parts: memory stays flat",
		func(t *testing.T) error { // a scanner that collects the body first
			if all, _ := io.ReadAll(many()); len(all) < parts*32 {
				return fmt.Errorf("%d bytes are no load", len(all))
			}
			return nil
		},
		func(t *testing.T) error {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			s := e.Scan("")
			g := NewGate(s, many(), BodyOptions{Type: "multipart/form-data; boundary=B"})
			if _, err := io.Copy(io.Discard, g); err != nil {
				return nil
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			s.Close()
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
				return nil
			}
			return errors.New("less than 8 MiB kept")
		})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestAttackJSON(t *testing.T) {
	e := canaryEngine(t)
	a, b := ruleCanary[:17], ruleCanary[17:]
	esc := encoders[16].encode(ruleCanary)
	for name, body := range map[string]string{
		`\uXXXX`: `{"a":"` + esc + `"}`, "array": `["` + a + `","` + b + `"]`, "keys": `{"` + a + `":0,"` + b + `":0}`,
		"duplicate keys": `{"a":"` + a + `","a":"` + b + `"}`, "BOM": "\xef\xbb\xbf" + `{"a":"` + a + `","b":"` + b + `"}`,
		"UTF-16": utf16le(`{"a":"` + ruleCanary + `"}`), "comments": `["` + a + `"/* no JSON */,"` + b + `"]`,
		"NDJSON": `["` + a + `"]` + "\n" + `["` + b + `"]`, "XML references": encoders[20].encode(ruleCanary),
	} {
		stopped(t, "L10", name, e, request{body: body, opt: BodyOptions{Type: "application/json"}}, true)
	}
}

func TestAttackArchives(t *testing.T) {
	e := canaryEngine(t)
	doc := []byte(strings.Repeat("A line of a document.\n", 400) + ruleCanary + "\n")
	var z, tr bytes.Buffer
	zw := zip.NewWriter(&z)
	f, _ := zw.Create("word/document.xml")
	f.Write(doc)
	zw.Close()
	tw := tar.NewWriter(&tr)
	tw.WriteHeader(&tar.Header{Name: "a.txt", Mode: 0o600, Size: int64(len(doc))})
	tw.Write(doc)
	tw.Close()
	stopped(t, "L12", "zip, docx", e, request{body: z.String()}, true)
	stopped(t, "L12", "tar.gz, docker layer", e, request{body: string(gz(tr.Bytes()))}, true)
	stopped(t, "L12", "zlib object of a git pack", e, request{body: "PACK\x00\x00\x00\x02\x00\x00\x00\x01\xbd\x8a\x02" + string(zl(doc))}, true)
	stopped(t, "L12", "PDF stream", e, request{body: "%PDF-1.7\n1 0 obj <</Filter /FlateDecode>>\nstream\n" + string(zl(doc)) + "\nendstream"}, true)
}

// TestAttackPartial holds that an upstream which answers early has nothing of use:
// of a short body not a byte, of a long one at most what stands before the canary.
func TestAttackPartial(t *testing.T) {
	e := canaryEngine(t)
	pad := strings.Repeat("padding ", 40_000)
	stopped(t, "L15", "canary in the last bytes of a long body", e, request{body: pad + ruleCanary}, false)
	stopped(t, "L15", "canary in the middle", e, request{body: pad + ruleCanary + pad}, false)
	// Blocks without content let a decompressor swallow input and say nothing.
	raw := zl([]byte(ruleCanary))
	body := string(raw[:2]) + "\x00" + string([]byte{byte(len(ruleCanary)), 0, ^byte(len(ruleCanary)), 0xff}) + ruleCanary +
		strings.Repeat("\x00\x00\x00\xff\xff", 400_000)
	stopped(t, "L15", "compressed data that says nothing", e, request{body: body, opt: BodyOptions{Encoding: "deflate"}}, false)
}

// unbounded10s returns nil if a scanner without bounds, which decompresses all and
// runs every expression over everything, would be busy for ten seconds.
func unbounded10s(body string, bomb bool) error {
	sample := body[:min(len(body), 4<<10)]
	size := len(body)
	if bomb {
		r, err := gzip.NewReader(strings.NewReader(body))
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, r)
		if err != nil || n < 1<<20 {
			return fmt.Errorf("no bomb: %d bytes, %v", n, err)
		}
		return nil
	}
	all, err := rules.Load()
	if err != nil {
		return err
	}
	start := time.Now()
	for i := range all {
		all[i].Regexp.FindAllString(sample, -1)
	}
	if took := time.Since(start) * time.Duration(size/len(sample)); took < 10*time.Second {
		return fmt.Errorf("every expression over everything takes only %v", took)
	}
	return nil
}

func TestAttackCost(t *testing.T) {
	e := canaryEngine(t)
	size := 64 << 20
	if raceEnabled {
		size /= 4
	}
	bomb := gz(make([]byte, size))
	nested := gz(bytes.Repeat(bomb, 80))
	for _, tc := range []struct{ id, name, body, encoding string }{
		{"L04", "decompression bomb, declared", string(bomb), "gzip"},
		{"L04", "decompression bomb, found", string(bomb), ""},
		{"L04", "bomb in a bomb", string(nested), "gzip"},
		{"L16", "keywords everywhere", strings.Repeat("ghp_ AKIA sk-ant- glpat- xoxb- npm_ key=", 200_000), ""},
		{"L16", "almost tokens", strings.Repeat("ghp_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.", 200_000), ""},
		{"L16", "assignments", strings.Repeat(`api_key = "aaaaaaaaa1aaaaaaaa" `, 200_000), ""},
		{"X16", "signatures everywhere", strings.Repeat("\x78\x9c\x1f\x8b\x08x\x01PK\x03\x04", 600_000), ""},
		{"X16", "escapes everywhere", strings.Repeat(`\u005c\u0075%25`, 200_000), ""},
		{"X16", "deep JSON", strings.Repeat(`[{"a":`, 1_200_000), ""},
		{"X16", "digits", strings.Repeat("4111 1111 1111 1112 ", 200_000), ""},
	} {
		if raceEnabled && len(tc.body) > 1<<20 { // where everything takes ten times as long
			tc.body = tc.body[:len(tc.body)/10]
		}
		attack.Stopped(t, tc.id, tc.name,
			func(t *testing.T) error { return unbounded10s(tc.body, strings.Contains(tc.name, "bomb")) },
			func(t *testing.T) error {
				start := cpuTime(t)
				v := scanBody(e, tc.body, 32<<10, BodyOptions{Encoding: tc.encoding})
				took := cpuTime(t) - start
				limit := 10 * time.Second
				if raceEnabled {
					limit *= 20
				}
				if took > limit {
					return nil
				}
				if strings.Contains(tc.name, "bomb") && v.Allowed() {
					return nil
				}
				return fmt.Errorf("verdict %d after %v for %d bytes", v.Action, took.Round(time.Millisecond), len(tc.body))
			})
	}
}
