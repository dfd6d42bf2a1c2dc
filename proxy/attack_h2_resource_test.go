package proxy_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"bottled/attack"
	"bottled/proxy"
)

// Frames that cost their sender little: the connection is cut, or what it holds of the
// enforcer stays within a bound, and others are served.
func TestAttackHTTP2Resources(t *testing.T) {
	const streams = 16
	w := newWorld(t, bareAPI, func(_ *world, c *proxy.Config) { c.Limits.Streams, c.Limits.HeaderBytes = streams, 64<<10 })
	w.upstream(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/big" {
			io.Copy(rw, zeros(64<<20))
		} else {
			io.Copy(io.Discard, r.Body)
		}
	}, "api.example.com")
	begin := func(h *h2Conn, end bool, path string, more ...string) error {
		h.buf.Reset()
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "api.example.com"}, {":path", path}} {
			h.enc.WriteField(field(f[0], f[1]))
		}
		for _, value := range more {
			h.enc.WriteField(field("x-filler", value))
		}
		id := h.stream
		h.stream += 2
		block := h.buf.Bytes()
		first := block[:min(len(block), 16<<10)]
		if err := h.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: first, EndHeaders: len(first) == len(block), EndStream: end}); err != nil {
			return err
		}
		for block = block[len(first):]; len(block) > 0; {
			part := block[:min(len(block), 16<<10)]
			block = block[len(part):]
			if err := h.WriteContinuation(id, len(block) == 0, part); err != nil {
				return err
			}
		}
		return nil
	}
	const bound = 16 << 20       // bytes of heap, those of the test's own upstream included
	const window = streams << 22 // what upstreams may send unread (x/net/http2, transportDefaultStreamFlow)
	for name, flood := range map[string]struct {
		few, many, bound int
		send             func(h *h2Conn, n int) error
	}{
		"empty data": {3, 50_000, bound, func(h *h2Conn, n int) error {
			id := h.stream
			if err := begin(h, false, "/"); err != nil {
				return err
			}
			for range n {
				if err := h.WriteData(id, false, nil); err != nil {
					return err
				}
			}
			return h.WriteData(id, true, nil)
		}},
		"priorities": {3, 50_000, bound, func(h *h2Conn, n int) error {
			for i := range n {
				if err := h.WritePriority(uint32(2*i+10001), http2.PriorityParam{StreamDep: uint32(2*i + 10003), Weight: 7}); err != nil {
					return err
				}
			}
			return nil
		}},
		"window updates": {3, 50_000, bound, func(h *h2Conn, n int) error {
			for range n {
				if err := h.WriteWindowUpdate(0, 1); err != nil {
					return err
				}
			}
			return nil
		}},
		"references to one large field": {3, 20_000, bound, func(h *h2Conn, n int) error {
			return begin(h, true, "/", slices.Repeat([]string{strings.Repeat("z", 3000)}, n)...)
		}},
		"bodies that nobody takes": {1, streams, window + bound, func(h *h2Conn, n int) error {
			for range n {
				if err := begin(h, true, "/big"); err != nil {
					return err
				}
			}
			time.Sleep(300 * time.Millisecond) // for what comes to be buffered
			return nil
		}},
	} {
		// survived is how the connection is after n frames: nil when a request on it is
		// still answered.
		survived := func(t *testing.T, n int) error {
			h, err := newH2(w.tls("api.example.com", 443, "h2"))
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			if err := flood.send(h, n); err != nil {
				return errors.New("closed while flooding")
			}
			if name == "bodies that nobody takes" && n == streams {
				return nil
			}
			if got := h.request("", ":method", "GET", ":scheme", "https", ":authority", "api.example.com", ":path", "/"); got != "200" {
				return errors.New(got)
			}
			return nil
		}
		attack.Stopped(t, "X15", name,
			func(t *testing.T) error { return survived(t, flood.few) },
			func(t *testing.T) error {
				var how error
				grown := peak(func() { how = survived(t, flood.many) })
				if resp, err := w.client(true).Get("https://api.example.com/"); err != nil || resp.StatusCode != 200 {
					return nil
				}
				if grown > uint64(flood.bound) {
					t.Logf("%d KiB of heap", grown>>10)
					return nil
				}
				if how == nil {
					how = errors.New("served at its own pace")
				}
				return fmt.Errorf("%w; %d KiB more heap, others are served", how, grown>>10)
			})
	}
}
