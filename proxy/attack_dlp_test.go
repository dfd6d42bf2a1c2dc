package proxy_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"bottled/attack"
	"bottled/dlp"
	"bottled/proxy"
	"bottled/routes"
	"bottled/screen"
	"bottled/secret"
	"bottled/upstreamtest"
)

// canary is the value of a token that the bottle has; ruleCanary is nobody's, and
// has the shape of one.
const (
	canary     = "Zk4mQ9xW2vT7bN5cR8yL1pJ6"
	loud       = "ZK4MQ9XW2VT7BN5CR8YL1PJ6"
	ruleCanary = "ghp_x7Kp2mQ9vR4tY8wZ1nB6cD3fG5hJ0L4MNObN"
)

// screened has the bottle scanned, with canary as one of its tokens.
func screened(policy routes.DLP, limits dlp.Limits) option {
	return func(_ *world, c *proxy.Config) {
		s := screen.New(policy, limits, nil)
		value, err := secret.New([]byte(canary))
		if err != nil {
			panic(err)
		}
		s.Use(c.Table, map[string]secret.Token{"EGRESS_PROXY_TOKEN_1": value})
		c.Scanner = s
	}
}

// anyHost is a table in which nothing but the scanner can refuse.
const anyHost = `{"routes": [{"host": "*.example.com", "methods": ["GET", "POST", "` + loud + `"]}]}`

// leave sends a request that makes makes, and returns nil when all of it reached
// the upstream: the control and the attack are the same probe.
func leave(w *world, h2 bool, make func(*testing.T) *http.Request) attack.Probe {
	return func(t *testing.T) error {
		resp, err := w.client(h2).Do(make(t))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode == http.StatusOK {
			return nil
		}
		var refusal proxy.Refusal
		if err := json.Unmarshal(body, &refusal); err != nil {
			t.Fatalf("%d: %q", resp.StatusCode, body)
		}
		if resp.StatusCode != 403 || refusal.Tool != "pipelock-block" || refusal.Rule == "" || refusal.RequestID == "" || resp.Header.Get("X-Request-Id") != refusal.RequestID {
			t.Errorf("%d: %s", resp.StatusCode, body)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		shown := fmt.Sprintf("%s %+v", body, w.events)
		for _, s := range []string{canary, ruleCanary} {
			if strings.Contains(strings.ToLower(shown), strings.ToLower(s)) {
				t.Errorf("the match is shown: %s", shown)
			}
		}
		for _, e := range w.events {
			if e.RequestID == refusal.RequestID && (e.Rule != refusal.Rule || e.Verdict.String() != "deny") {
				t.Errorf("event %+v", e)
			}
		}
		return errors.New("403 " + refusal.Rule)
	}
}

// stopped runs the probe without the scanner and with it, and asserts on what the
// upstream holds afterwards.
func stopped(t *testing.T, id, name string, h2 bool, request func(*testing.T) *http.Request) {
	t.Helper()
	hosts := []string{"*.example.com"}
	open, shut := newWorld(t, anyHost), newWorld(t, anyHost, screened(routes.DLP{}, dlp.Limits{}))
	for _, w := range []*world{open, shut} {
		var up = w.upstream(func(rw http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, hosts...)
		t.Cleanup(func() {
			if w == open {
				return
			}
			for _, r := range up.Requests() {
				all := strings.ToLower(fmt.Sprintf("%s %s %s %v %v %s", r.Method, r.Host, r.Target, r.Header, r.Trailer, r.Body))
				for _, s := range []string{canary, ruleCanary} {
					if strings.Contains(all, strings.ToLower(s)) {
						t.Errorf("%s %s: the upstream holds the canary: %.200q", id, name, all)
					}
				}
			}
		})
	}
	attack.Stopped(t, id, name, leave(open, h2, request), leave(shut, h2, request))
}

func request(method, url string, body io.Reader, fields ...string) func(*testing.T) *http.Request {
	return func(t *testing.T) *http.Request {
		if s, ok := body.(io.Seeker); ok {
			s.Seek(0, io.SeekStart)
		}
		r, err := http.NewRequest(method, url, body)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(fields); i += 2 {
			r.Header[fields[i]] = append(r.Header[fields[i]], fields[i+1])
		}
		return r
	}
}

const api = "https://api.example.com/"

// Every part of a request that the bottle chooses is scanned.
func TestAttackDLPSlots(t *testing.T) {
	form := func(filename, boundary string) *http.Request {
		var b bytes.Buffer
		m := multipart.NewWriter(&b)
		if boundary != "" {
			m.SetBoundary(boundary)
		}
		part, _ := m.CreateFormFile("file", filename)
		io.WriteString(part, "contents")
		m.Close()
		r, _ := http.NewRequest("POST", api, &b)
		r.Header.Set("Content-Type", m.FormDataContentType())
		return r
	}
	trailer := func(t *testing.T) *http.Request {
		r := request("POST", api, io.MultiReader(strings.NewReader("body")))(t)
		r.Trailer = http.Header{"X-Sum": {canary}}
		return r
	}
	announced := func(field string) func(*testing.T) *http.Request {
		return func(t *testing.T) *http.Request {
			r := request("POST", api, io.MultiReader(strings.NewReader("body")))(t)
			r.Trailer = http.Header{"X-Fine": nil, field: nil} // and never sent
			return r
		}
	}
	for _, h2 := range []bool{false, true} {
		for name, make := range map[string]func(*testing.T) *http.Request{
			"body":         request("POST", api, strings.NewReader("the key is "+canary+".")),
			"rule in body": request("POST", api, strings.NewReader("the key is "+ruleCanary+".")),
			"chunked body": func(t *testing.T) *http.Request {
				return request("POST", api, io.MultiReader(strings.NewReader(canary)))(t)
			},
			"header value":  request("GET", api, nil, "X-Note", canary),
			"header name":   request("GET", api, nil, "X-"+canary, "1"),
			"path":          request("GET", api+"a/"+canary+"/b", nil),
			"query":         request("GET", api+"?q="+canary, nil),
			"host label":    request("GET", "https://"+strings.ToLower(canary)+".example.com/", nil),
			"method":        request(loud, api, nil),
			"trailer":       trailer,
			"its name":      announced("X-" + canary),
			"cookie":        request("GET", api, nil, "Cookie", "a=1; session="+canary),
			"filename":      func(*testing.T) *http.Request { return form(canary+".txt", "") },
			"boundary":      func(*testing.T) *http.Request { return form("a.txt", canary) },
			"user agent":    request("GET", api, nil, "User-Agent", "curl/8 "+canary),
			"authorization": request("GET", api, nil, "Authorization", "Bearer "+canary),
		} {
			stopped(t, "L01", fmt.Sprintf("%s, h2 %v", name, h2), h2, make)
		}
		stopped(t, "G15", fmt.Sprintf("cookie crumbs, h2 %v", h2), h2, request("GET", api, nil, "Cookie", "a="+canary[:8]+"; b="+canary[8:16]+"; c="+canary[16:]))
		stopped(t, "G15", fmt.Sprintf("cut over equal fields, h2 %v", h2), h2, request("GET", api, nil, "X-A", canary[:8], "X-A", canary[8:16], "X-A", canary[16:]))
	}
}

// Whatever a body is encoded with is undone, or it is refused.
func TestAttackDLPEncodings(t *testing.T) {
	text := strings.Repeat("some text before it. ", 50) + canary + strings.Repeat(" some text after it.", 50)
	pack := func(make func(io.Writer) io.WriteCloser) string {
		var b bytes.Buffer
		w := make(&b)
		io.WriteString(w, text)
		w.Close()
		return b.String()
	}
	gz := pack(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	zl := pack(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
	raw := pack(func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 9); return f })
	br := pack(func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) })
	zs := pack(func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z })
	twice := func() string {
		var b bytes.Buffer
		w := brotli.NewWriter(&b)
		io.WriteString(w, gz)
		w.Close()
		return b.String()
	}()
	for _, row := range []struct{ name, encoding, body string }{
		{"gzip", "gzip", gz}, {"x-gzip", "x-gzip", gz}, {"deflate, zlib", "deflate", zl}, {"deflate, raw", "deflate", raw},
		{"br", "br", br}, {"zstd", "zstd", zs}, {"identity", "identity", text}, {"stacked", "gzip, br", twice},
		{"wrong label", "br", gz}, {"unknown label", "compress", gz}, {"no label", "", gz},
		{"two members", "gzip", gz[:0] + func() string { e := &bytes.Buffer{}; w := gzip.NewWriter(e); w.Close(); return e.String() }() + gz},
		{"trailing data", "gzip", gz + canary},
	} {
		stopped(t, "L04", row.name, false, request("POST", api, strings.NewReader(row.body), "Content-Encoding", row.encoding))
	}
}

// A canary that is cut anywhere: over writes of the client, chunks and DATA frames.
func TestAttackDLPCuts(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		for _, step := range []int{1, 5, 12, 23} {
			stopped(t, "L06", fmt.Sprintf("in pieces of %d, h2 %v", step, h2), h2, func(t *testing.T) *http.Request {
				pr, pw := io.Pipe()
				go func() {
					defer pw.Close()
					text := strings.Repeat("filler ", 10) + canary + " and more"
					for len(text) > 0 {
						n := min(step, len(text))
						if _, err := io.WriteString(pw, text[:n]); err != nil {
							return
						}
						text = text[n:]
					}
				}()
				return request("POST", api, pr)(t)
			})
		}
	}
}

// A secret that is cut over requests to one host, over both protocols and new
// connections, never is all there: the request with its last piece is refused.
func TestAttackDLPOverRequests(t *testing.T) {
	shapes := map[string]func(n int, piece string) func(*testing.T) *http.Request{
		"a parameter": func(n int, piece string) func(*testing.T) *http.Request {
			return request("GET", fmt.Sprintf("%s?page=%d&q=%s", api, n, piece), nil)
		},
		"a segment": func(n int, piece string) func(*testing.T) *http.Request {
			return request("GET", api+"items/"+piece, nil)
		},
		"a header": func(n int, piece string) func(*testing.T) *http.Request {
			return request("GET", api, nil, "X-Trace", piece)
		},
		"a body": func(n int, piece string) func(*testing.T) *http.Request {
			return request("POST", api, strings.NewReader(fmt.Sprintf(`{"n":%d,"note":%q}`, n, piece)), "Content-Type", "application/json")
		},
	}
	var upstreams []*upstreamtest.Server
	worlds := []*world{newWorld(t, bareAPI), newWorld(t, bareAPI, screened(routes.DLP{}, dlp.Limits{}))}
	for _, w := range worlds {
		upstreams = append(upstreams, w.upstream(func(rw http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, "api.example.com"))
	}
	for name, shape := range shapes {
		for _, secret := range []string{canary, ruleCanary} {
			id := name + secret[:3]
			probe := func(i int) attack.Probe {
				w, up := worlds[i], upstreams[i]
				send := func(h2 bool, n int, piece string) attack.Probe {
					return leave(w, h2, func(t *testing.T) *http.Request {
						r := shape(n, piece)(t)
						r.Header.Set("X-Case", id)
						return r
					})
				}
				return func(t *testing.T) error {
					var last error
					for n := 0; n*6 < len(secret); n++ {
						piece := secret[n*6 : min(n*6+6, len(secret))]
						if last = send(n%2 == 1, n, piece)(t); last == nil {
							continue
						}
						if again := send(true, n, piece)(t); again == nil {
							t.Errorf("%s: at the second try it leaves", name)
						}
						break
					}
					var left strings.Builder
					for _, r := range up.Requests() {
						if r.Header.Get("X-Case") != id {
							continue
						}
						fmt.Fprint(&left, r.Target, r.Header.Get("X-Trace"), string(r.Body))
					}
					if whole := strings.HasSuffix(left.String(), secret[len(secret)-6:]) || strings.Contains(left.String(), secret[len(secret)-4:]); whole != (last == nil) {
						t.Errorf("%s: %v, and the upstream has %q", name, last, left.String())
					}
					return last
				}
			}
			attack.Stopped(t, "L07", "over requests, "+name+", "+secret[:3], probe(0), probe(1))
		}
	}
}

// One route's pieces are not another's.
func TestDLPPiecesOfOtherHosts(t *testing.T) {
	w := newWorld(t, `{"routes": [{"host": "api.example.com"}, {"host": "other.example.com"}]}`, screened(routes.DLP{}, dlp.Limits{}))
	w.upstream(func(rw http.ResponseWriter, r *http.Request) {}, "api.example.com", "other.example.com")
	half := len(ruleCanary) / 2
	if err := leave(w, false, request("GET", api+"?q="+ruleCanary[:half], nil))(t); err != nil {
		t.Error(err)
	}
	if err := leave(w, false, request("GET", "https://other.example.com/?q="+ruleCanary[half:], nil))(t); err != nil {
		t.Errorf("to another host: %v", err)
	}
	if err := leave(w, false, request("GET", api+"?q="+ruleCanary[half:], nil))(t); err == nil {
		t.Error("the control: to the same host it passes")
	}
}
