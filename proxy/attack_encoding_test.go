package proxy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"bottled/attack"
)

// encoder is what all the libraries' writers are.
type encoder interface {
	io.WriteCloser
	Flush() error
}

var encoders = map[string]func(io.Writer) encoder{
	"gzip":    func(w io.Writer) encoder { return gzip.NewWriter(w) },
	"x-gzip":  func(w io.Writer) encoder { return gzip.NewWriter(w) },
	"deflate": func(w io.Writer) encoder { return zlib.NewWriter(w) },
	"Deflate": func(w io.Writer) encoder { z, _ := flate.NewWriter(w, 5); return z }, // without its wrapper, as some send it
	"br":      func(w io.Writer) encoder { return brotli.NewWriter(w) },
	"zstd": func(w io.Writer) encoder {
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		if err != nil {
			panic(err)
		}
		return z
	},
}

// stack encodes with each of the codings, in their order.
type stack []encoder

func encode(w io.Writer, codings string) (s stack) {
	names := strings.Split(codings, ", ")
	for i := len(names) - 1; i >= 0; i-- {
		s = append(s, encoders[names[i]](w))
		w = s[len(s)-1]
	}
	return s
}

// write sends text off through all of them.
func (s stack) write(text string) {
	io.WriteString(s[len(s)-1], text)
	for i := len(s) - 1; i >= 0; i-- {
		s[i].Flush()
	}
}

func (s stack) Close() {
	for i := len(s) - 1; i >= 0; i-- {
		s[i].Close()
	}
}

func encoded(codings, text string) []byte {
	var b bytes.Buffer
	s := encode(&b, codings)
	s.write(text)
	s.Close()
	return b.Bytes()
}

// decoded reads a body as a client does that knows codings.
func decoded(t *testing.T, resp *http.Response, coding string) string {
	t.Helper()
	defer resp.Body.Close()
	var r io.Reader = resp.Body
	var err error
	for i, names := 0, strings.Split(coding, ", "); i < len(names) && resp.Header.Get("Content-Encoding") != ""; i++ {
		switch name := names[len(names)-1-i]; name {
		case "br":
			r = brotli.NewReader(r)
		case "zstd":
			r, err = zstd.NewReader(r)
		case "deflate":
			r, err = zlib.NewReader(r)
		case "Deflate":
			r = flate.NewReader(r)
		default:
			r, err = gzip.NewReader(r)
		}
		if err != nil {
			t.Error(err)
			return ""
		}
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

// A response that is encoded although identity was asked for arrives without its
// codings and without the token, and says so.
func TestAttackEncodedReflection(t *testing.T) {
	w, m := newStore(t)
	const before = `{"auth": "`
	for _, coding := range []string{"gzip", "x-gzip", "deflate", "Deflate", "br", "zstd", "gzip, br", "br, gzip, zstd"} {
		m.shows(func(rw http.ResponseWriter, r *http.Request, held string) {
			h := rw.Header()
			h.Set("X-Asked", r.Header.Get("Accept-Encoding"))
			h.Set("Content-Encoding", coding)
			h.Set("Etag", `"v1"`)
			h.Set("Content-Md5", "x")
			h.Set("Repr-Digest", "x")
			h.Set("Vary", "Accept-Encoding")
			h.Set("Accept-Ranges", "bytes")
			text := before + held + `"}`
			if r.URL.RawQuery != "" || r.Method == "HEAD" { // whole, with its length
				rw.Write(encoded(coding, text))
				return
			}
			s := encode(rw, coding)
			for _, part := range []string{text[:15], text[15:]} {
				s.write(part)
				rw.(http.Flusher).Flush()
			}
			s.Close()
		})
		ask := func(method, url string, h2 bool) (*http.Response, error) {
			req, _ := http.NewRequest(method, url, nil)
			req.Header.Set("Accept-Encoding", coding)
			return w.client(h2).Do(req)
		}
		for _, way := range ways {
			for _, form := range []string{"", "?whole"} {
				attack.Stopped(t, "C03", coding+form+", "+way.name,
					func(t *testing.T) error {
						resp, err := ask("GET", strings.Replace(way.url, "api.", "other.", 1)+form, way.h2)
						if err != nil {
							return err
						}
						if got := decoded(t, resp, coding); got != before+token+`"}` || resp.Header.Get("X-Asked") != coding {
							return fmt.Errorf("%q", got)
						}
						return nil
					},
					func(t *testing.T) error {
						resp, err := ask("GET", way.url+form, way.h2)
						if err != nil {
							return err
						}
						got, want := decoded(t, resp, coding), before+strings.Repeat("*", len(token))+`"}`
						if got != want {
							t.Logf("%q", got)
							return nil
						}
						h := resp.Header
						if h.Get("X-Asked") != "identity" || h.Get("Etag") != `W/"v1"` || h.Get("Vary") != "Accept-Encoding" || h.Get("Accept-Ranges") != "none" ||
							h.Get("Content-Encoding")+h.Get("Content-Md5")+h.Get("Repr-Digest") != "" || resp.ContentLength >= 0 {
							t.Errorf("%d bytes, %q", resp.ContentLength, h)
						}
						return errors.New("decoded, masked")
					})
			}
			if resp, err := ask("HEAD", way.url, way.h2); err != nil || resp.StatusCode != 200 || resp.ContentLength >= 0 || resp.Header.Get("Content-Encoding") != "" {
				t.Errorf("HEAD: %v, %v", resp, err)
			}
		}
	}
}

// What an upstream encoded and flushed arrives before it sends more.
func TestEncodedStream(t *testing.T) {
	for _, coding := range []string{"gzip", "deflate", "Deflate", "br", "zstd", "gzip, zstd"} {
		for _, h2 := range []bool{false, true} {
			w := newWorld(t, injecting)
			next := make(chan string)
			w.upstream(func(rw http.ResponseWriter, r *http.Request) {
				rw.Header().Set("Content-Type", "text/event-stream")
				rw.Header().Set("Content-Encoding", coding)
				rw.(http.Flusher).Flush()
				s := encode(rw, coding)
				for part := range next {
					s.write(part)
					rw.(http.Flusher).Flush()
				}
				s.Close()
			}, "api.example.com")
			resp, err := w.client(h2).Get("https://api.example.com/")
			if err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 100)
			for _, part := range []string{"data: one\n\n", "data: two g", "h\n\n"} {
				next <- part
				if n, err := io.ReadFull(resp.Body, buf[:len(part)]); err != nil || string(buf[:n]) != part {
					t.Fatalf("%s, h2 %v: %q, %v", coding, h2, buf[:n], err)
				}
			}
			close(next)
			if rest, err := io.ReadAll(resp.Body); len(rest) > 0 || err != nil {
				t.Fatalf("%s: %q, %v", coding, rest, err)
			}
			resp.Body.Close()
		}
	}
}

// What cannot be searched is refused, or breaks off; never passed on as it is.
func TestAttackUnreadableResponse(t *testing.T) {
	w, m := newStore(t)
	bomb := func(coding string) []byte { return encoded(coding, strings.Repeat("\x00", 16<<20)) }
	nothing := encoded("gzip, gzip", strings.Repeat(string(encoded("gzip", "")), 1<<18))
	gz := encoded("gzip", token+strings.Repeat("x", 1000))
	for _, row := range []struct {
		name   string
		status int
		header map[string]string
		body   []byte
		why    string // of a refusal; "": the response breaks off
	}{
		{"unknown coding", 200, map[string]string{"Content-Encoding": "x-rot13"}, []byte(token), "response-encoding"},
		{"compress", 200, map[string]string{"Content-Encoding": "compress"}, []byte(token), "response-encoding"},
		{"four codings", 200, map[string]string{"Content-Encoding": "gzip, gzip, gzip, gzip"}, encoded("gzip, gzip, gzip, gzip", token), "response-encoding"},
		{"not what it says", 200, map[string]string{"Content-Encoding": "gzip"}, []byte(token), ""},
		{"truncated", 200, map[string]string{"Content-Encoding": "gzip"}, gz[:len(gz)-9], ""},
		{"goes on after its end", 200, map[string]string{"Content-Encoding": "deflate"}, append(encoded("deflate", "x"), token...), ""},
		{"brotli bomb", 200, map[string]string{"Content-Encoding": "br"}, bomb("br"), ""},
		{"nested gzip bomb", 200, map[string]string{"Content-Encoding": "gzip, gzip"}, bomb("gzip, gzip"), ""},
		{"bomb that says nothing", 200, map[string]string{"Content-Encoding": "gzip, gzip, gzip"}, nothing, ""},
		{"zstd bomb", 200, map[string]string{"Content-Encoding": "zstd"}, bomb("zstd"), ""},
		{"slice nobody asked for", 206, map[string]string{"Content-Range": "bytes 0-9/36"}, []byte(token[:10]), "response-slice"},
		{"gRPC messages in gzip", 200, map[string]string{"Grpc-Encoding": "gzip"}, gz, "response-encoding"},
		{"Connect messages in gzip", 200, map[string]string{"Connect-Content-Encoding": "gzip"}, gz, "response-encoding"},
	} {
		m.shows(func(rw http.ResponseWriter, _ *http.Request, _ string) {
			for name, value := range row.header {
				rw.Header().Set(name, value)
			}
			rw.WriteHeader(row.status)
			rw.Write(row.body)
		})
		for _, way := range ways {
			get := func(url string) (int, []byte, error) {
				resp, err := w.client(way.h2).Get(url)
				if err != nil {
					return 0, nil, err
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				return resp.StatusCode, body, err
			}
			attack.Stopped(t, "C03", row.name+", "+way.name,
				func(t *testing.T) error {
					if status, body, err := get(strings.Replace(way.url, "api.", "other.", 1)); err != nil || status != row.status || !bytes.Equal(body, row.body) {
						return fmt.Errorf("%d, %d bytes, %v", status, len(body), err)
					}
					return nil
				},
				func(t *testing.T) error {
					status, body, err := get(way.url)
					switch {
					case bytes.Contains(body, []byte(token[:10])) || bytes.Contains(body, row.body):
						return nil
					case row.why != "" && (status != 502 || !strings.Contains(string(body), row.why)):
						t.Errorf("%d %q", status, body)
					case row.why == "" && (err == nil || len(body) > 4<<20):
						t.Errorf("%d bytes, %v", len(body), err)
					case row.why == "":
						return errors.New("broke off")
					}
					return errors.New(row.why)
				})
		}
	}
}

// A response without a body is none, whatever its coding is said to be.
func TestEncodedNothing(t *testing.T) {
	w, m := newStore(t)
	for _, status := range []int{200, 204, 304} {
		m.shows(func(rw http.ResponseWriter, _ *http.Request, _ string) {
			rw.Header().Set("Content-Encoding", "gzip")
			rw.WriteHeader(status)
		})
		for _, way := range ways {
			if resp, body := w.get(w.client(way.h2), way.url); resp.StatusCode != status || body != "" {
				t.Errorf("%d, %s: %d %q", status, way.name, resp.StatusCode, body)
			}
		}
	}
}
