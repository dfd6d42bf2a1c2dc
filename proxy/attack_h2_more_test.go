package proxy_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"bottled/attack"
	"bottled/proxy"
)

// Two bottles have no upstream connection in common, whatever it would save.
func TestAttackSharedHTTP2(t *testing.T) {
	a, b := newWorld(t, bareAPI), newWorld(t, bareAPI, func(_ *world, c *proxy.Config) { c.Bottle = "other" })
	var mu sync.Mutex
	var peers []string
	up := a.upstream(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		peers = append(peers, r.RemoteAddr)
		if r.ProtoMajor != 2 {
			t.Errorf("over %s", r.Proto)
		}
	}, "api.example.com")
	b.at(443, up.Addr.String())
	b.authority = a.authority
	c := newWorld(t, bareAPI, func(_ *world, c *proxy.Config) { c.Roots = a.authority.Pool })
	c.at(443, up.Addr.String())
	shared := func(first, second *world) error {
		mu.Lock()
		peers = nil
		mu.Unlock()
		for _, w := range []*world{first, second} {
			if resp, body := w.get(w.client(true), "https://api.example.com/"); resp.StatusCode != 200 {
				return fmt.Errorf("%s %s", resp.Status, body)
			}
		}
		if peers[0] != peers[1] {
			return fmt.Errorf("two connections")
		}
		return nil
	}
	attack.Stopped(t, "G18", "another bottle's requests on the same connection",
		func(*testing.T) error { return shared(a, a) },
		func(*testing.T) error { return shared(a, c) })
}

// Frames and fields that readers of HTTP/2 disagree about (RFC 9113 sections 6 and 8): no
// request comes of them that was not judged.
func TestAttackHTTP2Messages(t *testing.T) {
	w := newWorld(t, onlyX)
	s := w.sink(443, lastReply, "api.example.com")
	get := []string{":method", "GET", ":scheme", "https", ":authority", "api.example.com", ":path", "/x"}
	type conn = h2Conn
	headers := func(h *conn, id uint32, end bool, fields ...string) error {
		h.buf.Reset()
		for i := 0; i < len(fields); i += 2 {
			h.enc.WriteField(field(fields[i], fields[i+1]))
		}
		return h.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: h.buf.Bytes(), EndHeaders: true, EndStream: end})
	}
	probe := func(send func(h *conn) error) (string, string) {
		before := len(s.text())
		h, err := newH2(w.tls("api.example.com", 443, "h2"))
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		if err := send(h); err != nil {
			return err.Error(), s.text()[before:]
		}
		for {
			f, err := h.ReadFrame()
			if err != nil {
				return "closed", s.text()[before:]
			}
			switch f := f.(type) {
			case *http2.SettingsFrame:
				if !f.IsAck() {
					h.WriteSettingsAck()
				}
			case *http2.MetaHeadersFrame:
				return f.PseudoValue("status"), s.text()[before:]
			case *http2.RSTStreamFrame:
				return "RST_STREAM " + f.ErrCode.String(), s.text()[before:]
			case *http2.GoAwayFrame:
				return "GOAWAY " + f.ErrCode.String(), s.text()[before:]
			}
		}
	}
	control := func(*testing.T) error {
		if status, got := probe(func(h *conn) error { return headers(h, 1, true, get...) }); status != "200" || !strings.HasPrefix(got, "GET /x ") {
			return fmt.Errorf("%s, upstream got %q", status, got)
		}
		return nil
	}
	with := func(more ...string) func(h *conn) error {
		return func(h *conn) error { return headers(h, 1, true, append(append([]string(nil), get...), more...)...) }
	}
	first := func(more ...string) func(h *conn) error {
		return func(h *conn) error { return headers(h, 1, true, append(more, get...)...) }
	}
	// A connection that ends by GOAWAY lives on for a second (x/net/http2, goAwayTimeout).
	t.Cleanup(func() {
		stacks := make([]byte, 1<<20)
		for range 100 {
			if !bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("(*serverConn).serve(")) {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Error("an HTTP/2 connection does not end")
	})
	for _, row := range []struct {
		id, name string
		send     func(h *conn) error
	}{
		{"G03", "a second :path", with(":path", "/admin")},
		{"G03", "another :path before", first(":path", "/admin")},
		{"G01", "a second :authority", with(":authority", "evil.example.com")},
		{"G01", "user information in :authority", func(h *conn) error {
			return headers(h, 1, true, ":method", "GET", ":scheme", "https", ":authority", "api.example.com@evil.example.com", ":path", "/x")
		}},
		{"G01", "a list in :authority", func(h *conn) error {
			return headers(h, 1, true, ":method", "GET", ":scheme", "https", ":authority", "api.example.com,evil.example.com", ":path", "/x")
		}},
		{"G01", "a path in :authority", func(h *conn) error {
			return headers(h, 1, true, ":method", "GET", ":scheme", "https", ":authority", "api.example.com/admin", ":path", "/x")
		}},
		{"G04", "two hosts", with("host", "api.example.com", "host", "evil.example.com")},
		{"G07", "an empty :path", func(h *conn) error {
			return headers(h, 1, true, ":method", "GET", ":scheme", "https", ":authority", "api.example.com", ":path", "")
		}},
		{"G07", "a line end in :path", func(h *conn) error {
			return headers(h, 1, true, ":method", "GET", ":scheme", "https", ":authority", "api.example.com", ":path", "/x HTTP/1.1\r\n\r\nGET /admin")
		}},
		{"G07", "a method with a line", func(h *conn) error {
			return headers(h, 1, true, ":method", "GET /admin HTTP/1.1\r\n\r\nGET", ":scheme", "https", ":authority", "api.example.com", ":path", "/x")
		}},
		{"G09", "a pseudo field behind the others", with("x", "y", ":path", "/admin")},
		{"G09", "a pseudo field that is a response's", with(":status", "200")},
		{"G09", "a pseudo field that nobody knows", with(":admin", "1")},
		{"G09", "a name in capitals", with("X-Admin", "1")},
		{"G09", "a line end in a value", with("x", "y\r\nx-admin: 1")},
		{"G09", "a line end in a name", with("x: y\r\nx-admin", "1")},
		{"G09", "a colon in a name", with("x:admin", "1")},
		{"G09", "a space in a name", with("x admin", "1")},
		{"G09", "a NUL in a value", with("x", "admin\x00")},
		{"G09", "upgrade", with("upgrade", "h2c")},
		{"G09", "proxy-connection", with("proxy-connection", "keep-alive, x")},
		{"G09", "keep-alive", with("keep-alive", "timeout=5")},
		{"G10", "extended CONNECT to a websocket", func(h *conn) error {
			return headers(h, 1, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "api.example.com", ":path", "/x")
		}},
		{"G10", "CONNECT with a path", func(h *conn) error {
			return headers(h, 1, false, ":method", "CONNECT", ":scheme", "https", ":authority", "api.example.com:443", ":path", "/x")
		}},
		{"G12", "a promise of the client's", func(h *conn) error {
			headers(h, 1, false, get...)
			h.buf.Reset()
			for i := 0; i < len(get); i += 2 {
				h.enc.WriteField(field(get[i], strings.Replace(get[i+1], "/x", "/admin", 1)))
			}
			return h.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, BlockFragment: h.buf.Bytes(), EndHeaders: true})
		}},
		{"G12", "a stream of the server's", func(h *conn) error { return headers(h, 2, true, get...) }},
		{"G12", "a header in the middle of another", func(h *conn) error {
			h.buf.Reset()
			h.enc.WriteField(field(":method", "GET"))
			h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h.buf.Bytes()})
			return headers(h, 3, true, get...)
		}},
		{"G12", "a continuation of nothing", func(h *conn) error { return h.WriteContinuation(1, true, nil) }},
		{"G12", "data of no stream", func(h *conn) error { return h.WriteData(1, true, []byte("GET /admin")) }},
		{"G12", "settings of a wrong size", func(h *conn) error { return h.WriteRawFrame(http2.FrameSettings, 0, 0, []byte{0, 4, 0}) }},
		{"G12", "a window over its bound", func(h *conn) error {
			return h.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31})
		}},
		{"G12", "a stream that waits for itself", func(h *conn) error {
			h.WritePriority(1, http2.PriorityParam{StreamDep: 1})
			return nil
		}},
		{"G12", "a frame longer than allowed", func(h *conn) error {
			h.AllowIllegalWrites = true
			return h.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, 1<<20+1))
		}},
	} {
		attack.Stopped(t, row.id, row.name, control, func(t *testing.T) error {
			h := func(h *conn) error { h.AllowIllegalWrites = true; return row.send(h) }
			status, got := probe(h)
			if strings.Contains(strings.ToLower(got), "admin") || strings.Contains(got, "evil") || strings.HasPrefix(status, "2") && got == "" {
				t.Logf("%s, the upstream got %q", status, got)
				return nil
			}
			return errors.New(status)
		})
	}
}

// The size of what is sent upstream says nothing of the credential: a program cannot
// have its guesses compressed against it (RFC 7541 section 7.1).
func TestAttackCompressionOracle(t *testing.T) {
	w := newWorld(t, injecting)
	leaf, err := w.authority.Leaf("api.example.com")
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{leaf}, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	w.at(443, l.Addr().String())
	sizes := make(chan int, 16) // of each header block, in bytes on the wire
	go each(l, func(c net.Conn) {
		io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
		h := serverH2(c)
		h.Framer.ReadMetaHeaders = nil
		h.WriteSettings()
		for {
			f, err := h.ReadFrame()
			if err != nil {
				return
			}
			switch f := f.(type) {
			case *http2.SettingsFrame:
				if !f.IsAck() {
					h.WriteSettingsAck()
				}
			case *http2.HeadersFrame:
				sizes <- len(f.HeaderBlockFragment())
				h.buf.Reset()
				h.enc.WriteField(field(":status", "200"))
				h.WriteHeaders(http2.HeadersFrameParam{StreamID: f.StreamID, BlockFragment: h.buf.Bytes(), EndHeaders: true, EndStream: true})
			}
		}
	})
	client := w.client(true)
	// sent is the size of a request that carries a guess for the first time, after the
	// field's name was sent with another value.
	filler := 0
	sent := func(name, guess string) (n int) {
		filler++
		for _, value := range []string{fmt.Sprintf("filler %d", filler), guess} {
			req, _ := http.NewRequest("GET", "https://api.example.com/", nil)
			req.Header.Set(name, value)
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			n = <-sizes
		}
		return n
	}
	guess := strings.Replace(token, "/", "%", 1) // as long, compressed too
	if hpack.HuffmanEncodeLength(guess) != hpack.HuffmanEncodeLength(token) {
		t.Fatal("the sizes differ anyway")
	}
	for _, name := range []string{"Authorization", "Proxy-Authorization", "Cookie", "X-Guess"} {
		attack.Stopped(t, "C21", "a guess in "+name,
			func(*testing.T) error { // where the program's own field stands in the same table
				var block bytes.Buffer
				enc := hpack.NewEncoder(&block)
				length := func(value string) int {
					block.Reset()
					enc.WriteField(field("authorization", "Bearer "+value))
					return block.Len()
				}
				length(token)
				if right, other := length(token), length(guess); right >= other {
					return fmt.Errorf("%d and %d bytes", right, other)
				}
				return nil
			},
			func(*testing.T) error {
				right, other := sent(name, "Bearer "+token), sent(name, "Bearer "+guess)
				if right != other {
					t.Logf("%d bytes with the right guess, %d with another", right, other)
					return nil
				}
				return fmt.Errorf("%d bytes with either", right)
			})
	}
}
