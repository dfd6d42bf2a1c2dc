package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"bottled/attack"
	"bottled/audit"
	"bottled/dlp"
	"bottled/routes"
	"bottled/upstreamtest"
)

// An upstream that answers before it has the body, and a client that waits to be
// told to go on: the canary is never whole on the other side.
func TestAttackDLPEarlyResponse(t *testing.T) {
	filler := strings.Repeat("filler ", 30)
	body := filler + canary + filler
	for name, send := range map[string]string{
		"declared length": fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", post, len(body), body),
		"chunked":         fmt.Sprintf("%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", post, len(body), body),
		"100-continue":    fmt.Sprintf("%sExpect: 100-continue\r\nContent-Length: %d\r\n\r\n%s", post, len(body), body),
		"long":            fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s%s", post, 300<<10+len(body), strings.Repeat("0123456789 abcdef", 300<<10)[:300<<10], body),
	} {
		w := newWorld(t, bareAPI, screened(routes.DLP{}, dlp.Limits{}))
		s := w.sink(443, "HTTP/1.1 100 Continue\r\n\r\n"+okReply, "api.example.com")
		attack.Stopped(t, "L15", name,
			func(t *testing.T) error { return s.direct(t, send) },
			func(t *testing.T) error {
				before := len(s.text())
				raw(t, w.tls("api.example.com", 443, "http/1.1"), send)
				event := w.event(func(e audit.Event) bool { return e.Method == "POST" })
				got := s.text()[before:]
				if strings.Contains(got, canary) || strings.Contains(got, canary[:len(canary)-1]) && name != "chunked" {
					return nil
				}
				if name == "100-continue" { // the final response came instead of the 100: nobody asked for the body
					return fmt.Errorf("%d bytes reached the upstream", len(got))
				}
				if name == "long" && event.Status == http.StatusOK && event.BytesUp < 300<<10 { // the answer overtook the body, which ended before the canary
					return fmt.Errorf("%d bytes reached the upstream before its answer", len(got))
				}
				if event.Rule != "secret:EGRESS_PROXY_TOKEN_1" || event.Where != "body" || len(event.Fingerprint) != 16 {
					t.Errorf("%+v", event)
				}
				return fmt.Errorf("%d bytes reached the upstream, and not the canary", len(got))
			})
	}
}

// masked is a client's frame.
func masked(first byte, p string) string {
	key := "k3y!"
	out := []byte{first, 0x80 | byte(len(p))}
	out = append(out, key...)
	for i := range p {
		out = append(out, p[i]^key[i&3])
	}
	return string(out)
}

// keepFrames upgrades with whatever extensions are asked for, and gives out what
// came then, unmasked.
func keepFrames(rw http.ResponseWriter, r *http.Request, seen chan<- string) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	c, buf, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "+
		base64.StdEncoding.EncodeToString(sum[:])+"\r\n")
	if e := r.Header.Get("Sec-WebSocket-Extensions"); e != "" {
		io.WriteString(c, "Sec-WebSocket-Extensions: "+e+"\r\n")
	}
	io.WriteString(c, "\r\n")
	var got strings.Builder
	for {
		head := make([]byte, 6)
		if _, err := io.ReadFull(buf, head); err != nil {
			break
		}
		p := make([]byte, head[1]&0x7f)
		n, _ := io.ReadFull(buf, p)
		for i := range n {
			got.WriteByte(p[i] ^ head[2+i&3])
		}
	}
	seen <- got.String()
}

func TestAttackDLPFrames(t *testing.T) {
	single := func(op byte) string {
		var b strings.Builder
		for i := range len(canary) {
			first := byte(0)
			if i == 0 {
				first = op
			}
			if i == len(canary)-1 {
				first |= 0x80
			}
			b.WriteString(masked(first, canary[i:i+1]))
			if i == 7 {
				b.WriteString(masked(0x89, "")) // a ping in between
			}
		}
		return b.String()
	}
	for name, frames := range map[string]string{
		"text": masked(0x81, "key "+canary), "binary": masked(0x82, "\x00\x01"+canary+"\xff"),
		"fragments of one byte": single(0x01), "binary fragments": single(0x02),
		"ping": masked(0x89, canary), "pong": masked(0x8a, canary), "close reason": masked(0x88, "\x03\xe8"+canary),
		"over messages": masked(0x81, canary[:9]) + masked(0x81, canary[9:]),
		"rule":          masked(0x81, ruleCanary+" "),
	} {
		probe := func(w *world) attack.Probe {
			return func(t *testing.T) error {
				seen := make(chan string, 1)
				w.upstream(func(rw http.ResponseWriter, r *http.Request) {
					keepFrames(rw, r, seen)
				}, "api.example.com")
				c := w.tls("api.example.com", 443, "http/1.1")
				defer c.Close()
				io.WriteString(c, strings.Replace(handshake, "\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", 1))
				in := bufio.NewReader(c)
				if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != 101 {
					t.Fatalf("%v, %v", resp, err)
				}
				io.WriteString(c, frames)
				time.AfterFunc(300*time.Millisecond, func() { c.CloseWrite() })
				back, _ := io.ReadAll(in)
				got := <-seen
				if strings.Contains(got, canary) || strings.Contains(got, ruleCanary) {
					return nil
				}
				if !bytes.Contains(back, []byte{0x88, 2, 0x03, 0xf0}) {
					return fmt.Errorf("closed without 1008: %q", back)
				}
				if e := w.event(func(e audit.Event) bool { return e.Protocol == "ws" }); e.Verdict.String() != "deny" || e.Rule == "" {
					t.Errorf("%+v", e)
				}
				return errors.New("closed with 1008")
			}
		}
		open, shut := newWorld(t, bareAPI), newWorld(t, bareAPI, screened(routes.DLP{}, dlp.Limits{}))
		attack.Stopped(t, "W04", name, probe(open), probe(shut))
	}
}

// The modes, of the bottle and of a route, and what they leave of a request.
func TestDLPModes(t *testing.T) {
	stars := strings.Repeat("*", len(ruleCanary))
	for _, tc := range []struct {
		name   string
		policy routes.DLP
		route  string
		secret string
		got    string // body at the upstream; "": refused
	}{
		{"block", routes.DLP{}, ``, ruleCanary, ""},
		{"redact", routes.DLP{Mode: routes.DLPRedact}, ``, ruleCanary, stars},
		{"warn", routes.DLP{Mode: routes.DLPWarn}, ``, ruleCanary, ruleCanary},
		{"warn, own token", routes.DLP{Mode: routes.DLPWarn}, ``, canary, ""},
		{"exempt", routes.DLP{Exempt: []routes.Exemption{{Rule: "github-pat"}}}, ``, ruleCanary, ruleCanary},
		{"another exempt", routes.DLP{Exempt: []routes.Exemption{{Rule: "gitlab-pat"}}}, ``, ruleCanary, ""},
		{"route warns", routes.DLP{}, `, "dlp": {"mode": "warn"}`, ruleCanary, ruleCanary},
		{"route blocks", routes.DLP{Mode: routes.DLPWarn}, `, "dlp": {"mode": "block"}`, ruleCanary, ""},
		{"route exempts", routes.DLP{}, `, "dlp": {"exempt": ["npm-access-token", "github-pat"]}`, ruleCanary, ruleCanary},
		{"route exempts another", routes.DLP{}, `, "dlp": {"exempt": ["npm-access-token"]}`, ruleCanary, ""},
	} {
		for _, h2 := range []bool{false, true} {
			w := newWorld(t, `{"routes": [{"host": "api.example.com"`+tc.route+`}, {"host": "other.example.com", "dlp": {"exempt": ["github-pat"]}}]}`, screened(tc.policy, dlp.Limits{}))
			up := w.upstream(func(rw http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, "api.example.com")
			resp, err := w.client(h2).Do(request("POST", api, strings.NewReader("a "+tc.secret+" b"), "X-Note", tc.secret)(t))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			var got, note string
			if all := up.Requests(); len(all) > 0 {
				got, note = string(all[0].Body), all[0].Header.Get("X-Note")
			}
			want := ""
			if tc.got != "" {
				want = "a " + tc.got + " b"
			}
			if got != want || note != tc.got || (resp.StatusCode == 200) != (want != "") {
				t.Errorf("%s, h2 %v: %d, upstream has %q, %q", tc.name, h2, resp.StatusCode, got, note)
			}
			e := w.event(func(e audit.Event) bool { return e.Method == "POST" })
			if found := !strings.Contains(tc.name, "exempt") || tc.got == ""; found != (e.Rule != "") {
				t.Errorf("%s, h2 %v: rule %q", tc.name, h2, e.Rule)
			}
		}
	}
}

// What is redacted arrives with the length that was declared, in the form that was,
// and without what was found in any encoding; what cannot be is refused.
func TestDLPRedacts(t *testing.T) {
	encoded := base64.StdEncoding.EncodeToString([]byte("see " + ruleCanary))
	stars := func(s string) string { return strings.Repeat("*", len(s)) }
	part := "--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"f.txt\"\r\n\r\n%s\r\n--b--\r\n"
	w := newWorld(t, bareAPI, screened(routes.DLP{Mode: routes.DLPRedact}, dlp.Limits{}))
	up := w.upstream(func(rw http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, "api.example.com")
	for i, tc := range []struct{ kind, body, want string }{
		{"application/json", `{"a":"` + ruleCanary + `","b":"` + encoded + `","c":7}`, `{"a":"` + stars(ruleCanary) + `","b":"` + stars(encoded) + `","c":7}`},
		{"application/x-www-form-urlencoded", "a=%67hp_" + ruleCanary[4:] + "&b=c", "a=" + stars("%67hp_"+ruleCanary[4:]) + "&b=c"},
		{"multipart/form-data; boundary=b", fmt.Sprintf(part, "key "+ruleCanary), fmt.Sprintf(part, "key "+stars(ruleCanary))},
		{"text/plain", "key " + encoded + ", yes", "key " + stars(encoded) + ", yes"},
		{"application/json", `["` + ruleCanary[:20] + `","` + ruleCanary[20:] + `"]`, ""},
		{"application/json", `{"a":"` + canary + `"}`, ""},
		{"application/json", `{"a":"nothing"}`, `{"a":"nothing"}`},
	} {
		for _, h2 := range []bool{false, true} {
			for _, declared := range []bool{true, false} {
				id := fmt.Sprint(i, h2, declared)
				var body io.Reader = strings.NewReader(tc.body)
				if !declared {
					body = io.MultiReader(body) // which nobody knows the length of
				}
				err := leave(w, h2, request("POST", api, body, "Content-Type", tc.kind, "X-Note", "Basic "+encoded, "X-Case", id))(t)
				all := slices.DeleteFunc(up.Requests(), func(r upstreamtest.Request) bool { return r.Header.Get("X-Case") != id })
				if kind := tc.kind; !declared && kind == "text/plain" {
					if err == nil || len(all) > 0 && strings.Contains(string(all[0].Body), encoded) {
						t.Errorf("%s, h2 %v: a stream, in which what is encoded cannot be overwritten, passes", kind, h2)
					}
					continue
				}
				var got string
				if len(all) == 1 {
					got = string(all[0].Body)
					length := fmt.Sprint(len(tc.body))
					if !declared {
						length = ""
					}
					if all[0].Header.Get("Content-Length") != length && declared || all[0].Header.Get("X-Note") != "Basic "+stars(encoded) {
						t.Errorf("%s, h2 %v, declared %v: %v", tc.body, h2, declared, all[0].Header)
					}
				}
				if got != tc.want || (err == nil) != (tc.want != "") {
					t.Errorf("%s, h2 %v, declared %v: %v, the upstream has %q", tc.body, h2, declared, err, got)
				}
			}
		}
	}
}

// A body in an encoding that nobody can undo is refused, unless the route or the
// bottle says otherwise, and what it holds in the open is found all the same.
func TestDLPUnreadable(t *testing.T) {
	for _, tc := range []struct {
		name   string
		policy routes.DLP
		route  string
		body   string
		left   bool
	}{
		{"by default", routes.DLP{}, ``, "\x9f\x03abc", false},
		{"the route", routes.DLP{}, `, "dlp": {"unreadable": "warn"}`, "\x9f\x03abc", true},
		{"the bottle", routes.DLP{Unreadable: routes.DLPWarn}, `, "dlp": {"mode": "redact"}`, "\x9f\x03abc", true},
		{"the bottle, not the route", routes.DLP{Unreadable: routes.DLPWarn}, `, "dlp": {"unreadable": "block"}`, "\x9f\x03abc", false},
		{"a token in it", routes.DLP{}, `, "dlp": {"unreadable": "warn"}`, "\x9f\x03" + canary, false},
	} {
		for _, h2 := range []bool{false, true} {
			w := newWorld(t, `{"routes": [{"host": "api.example.com"`+tc.route+`}]}`, screened(tc.policy, dlp.Limits{}))
			up := w.upstream(func(rw http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, "api.example.com")
			err := leave(w, h2, request("POST", api, strings.NewReader(tc.body), "Content-Encoding", "compress"))(t)
			all := up.Requests()
			if left := len(all) == 1 && string(all[0].Body) == tc.body; left != tc.left || left != (err == nil) {
				t.Errorf("%s, h2 %v: %v, %d requests", tc.name, h2, err, len(all))
			}
			if e := w.event(func(e audit.Event) bool { return e.Method == "POST" }); tc.left && e.Rule != "unknown-encoding" {
				t.Errorf("%s, h2 %v: the event says nothing of it: %+v", tc.name, h2, e)
			}
		}
	}
}

// A body over the limit is refused, and the reason says so.
func TestDLPSize(t *testing.T) {
	w := newWorld(t, bareAPI, screened(routes.DLP{}, dlp.Limits{Body: 1 << 20}))
	w.upstream(func(rw http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, "api.example.com")
	for _, h2 := range []bool{false, true} {
		err := leave(w, h2, request("POST", api, strings.NewReader(strings.Repeat("0123456789abcde\n", 1<<16))))(t)
		if err != nil {
			t.Errorf("at the limit: %v", err)
		}
		err = leave(w, h2, request("POST", api, strings.NewReader(strings.Repeat("0123456789abcde\n", 1<<16)+"!")))(t)
		if err == nil || err.Error() != "403 too-large" {
			t.Errorf("over the limit: %v", err)
		}
	}
}

// A conversation goes on while it is scanned, on a stream whose length is open.
func TestDLPStreams(t *testing.T) {
	w := newWorld(t, bareAPI, screened(routes.DLP{}, dlp.Limits{}))
	w.upstream(func(rw http.ResponseWriter, r *http.Request) {
		rw.WriteHeader(200)
		in := bufio.NewReader(r.Body)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			flushed(rw, "echo "+line)
		}
	}, "api.example.com")
	pr, pw := io.Pipe()
	req := request("POST", api, pr, "Content-Type", "application/grpc")(t)
	go io.WriteString(pw, "one\n")
	resp, err := w.client(true).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	back := bufio.NewReader(resp.Body)
	for _, line := range []string{"one\n", "two\n", "three\n"} {
		if line != "one\n" {
			io.WriteString(pw, line)
		}
		if got, err := back.ReadString('\n'); err != nil || got != "echo "+line {
			t.Fatalf("%q, %v", got, err)
		}
	}
	pw.Close()
}

// What developers send all day arrives byte for byte.
func TestDLPBenign(t *testing.T) {
	w := newWorld(t, bareAPI, screened(routes.DLP{}, dlp.Limits{}))
	up := w.upstream(func(rw http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, "api.example.com")
	random := make([]byte, 700<<10)
	for i, r := 0, rand.New(rand.NewPCG(7, 8)); i < len(random); i++ {
		random[i] = byte(r.Uint32())
	}
	var upload bytes.Buffer
	m := multipart.NewWriter(&upload)
	for name, value := range map[string]string{":action": "file_upload", "protocol_version": "1", "name": "sample", "version": "1.0", "sha256_digest": strings.Repeat("0a1b", 16), "filetype": "bdist_wheel"} {
		m.WriteField(name, value)
	}
	part, _ := m.CreateFormFile("content", "sample-1.0-py3-none-any.whl")
	part.Write(random)
	m.Close()
	for name, make := range map[string]func(*testing.T) *http.Request{
		"npm metadata": request("GET", api+"@scope%2fname", nil, "Accept", "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*", "Npm-Command", "install", "User-Agent", "npm/10.2.4 node/v20.11.1 linux x64 workspaces/false", "Pacote-Version", "17.0.4"),
		"npm audit":    request("POST", api+"-/npm/v1/security/advisories/bulk", strings.NewReader(`{"lodash":["4.17.20"],"left-pad":["1.3.0"]}`), "Content-Type", "application/json"),
		"pip upload": func(t *testing.T) *http.Request {
			return request("POST", api+"legacy/", bytes.NewReader(upload.Bytes()), "Content-Type", m.FormDataContentType())(t)
		},
		"git fetch": request("POST", api+"a/b.git/git-upload-pack", strings.NewReader("0098want 95d09f2b10159347eece71399a7e2e907ea3df4f multi_ack_detailed no-done side-band-64k thin-pack ofs-delta deepen-since deepen-not agent=git/2.39.5\n00000009done\n"), "Content-Type", "application/x-git-upload-pack-request"),
		"blob":      request("PUT", api+"v2/a/blobs/uploads/8a7b3c?digest=sha256%3A9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", bytes.NewReader(random), "Content-Type", "application/octet-stream"),
	} {
		for _, h2 := range []bool{false, true} {
			if err := leave(w, h2, make)(t); err != nil {
				t.Errorf("%s, h2 %v: %v", name, h2, err)
			}
		}
	}
	if got := len(up.Requests()); got != 10 {
		t.Errorf("%d of 10 requests arrived", got)
	}
}

// TestDLPLatency prints what the scanner adds to a request: the difference of two
// medians, over the same sockets.
func TestDLPLatency(t *testing.T) {
	median := func(w *world, size, rounds int) time.Duration {
		w.upstream(func(rw http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, "api.example.com")
		c, body := w.client(false), bytes.Repeat([]byte(`{"id": 7, "name": "item of the list"}, `), size/39+1)[:size]
		var took []time.Duration
		for range rounds {
			r := request("POST", api, bytes.NewReader(body), "Content-Type", "application/json")(t)
			start := time.Now()
			resp, err := c.Do(r)
			if err != nil || resp.StatusCode != 200 {
				t.Fatal(resp, err)
			}
			resp.Body.Close()
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		t.Logf("%d bytes: slowest, with the first, %v", size, took[len(took)-1])
		return took[len(took)/2]
	}
	for _, size := range []int{1 << 10, 1 << 20} {
		rounds := 200
		if size > 1<<10 {
			rounds = 30
		}
		open, shut := newWorld(t, bareAPI), newWorld(t, bareAPI, screened(routes.DLP{}, dlp.Limits{}))
		plain, scanned := median(open, size, rounds), median(shut, size, rounds)
		t.Logf("request of %d KiB: %v without the scanner, %v with it: it adds %v", size>>10, plain, scanned, scanned-plain)
	}
}
