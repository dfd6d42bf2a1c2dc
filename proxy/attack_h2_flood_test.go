package proxy_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"bottled/attack"
	"bottled/proxy"
)

// A client that floods frames is cut off or held to its bounds, and others are served.
func TestAttackHTTP2Floods(t *testing.T) {
	var asked atomic.Int64
	w := newWorld(t, bareAPI, func(_ *world, c *proxy.Config) { c.Limits.Streams, c.Limits.HeaderBytes = 16, 64<<10 })
	w.upstream(func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path == "/slow" {
			select {
			case <-r.Context().Done():
			case <-time.After(5 * time.Second):
			}
		}
	}, "api.example.com")
	open := func(t *testing.T) *h2Conn {
		h, err := newH2(w.tls("api.example.com", 443, "h2"))
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	fields := func(h *h2Conn, path string) []byte {
		h.buf.Reset()
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "api.example.com"}, {":path", path}} {
			h.enc.WriteField(field(f[0], f[1]))
		}
		return h.buf.Bytes()
	}
	const many = 20000
	for name, flood := range map[string]func(h *h2Conn, n int) error{
		"rapid reset": func(h *h2Conn, n int) error {
			for ; n > 0; n-- {
				if err := h.WriteHeaders(http2.HeadersFrameParam{StreamID: h.stream, BlockFragment: fields(h, "/slow"), EndHeaders: true, EndStream: true}); err != nil {
					return err
				}
				if err := h.WriteRSTStream(h.stream, http2.ErrCodeCancel); err != nil {
					return err
				}
				h.stream += 2
			}
			return nil
		},
		"CONTINUATION": func(h *h2Conn, n int) error {
			id := h.stream
			h.stream += 2
			if err := h.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: fields(h, "/"), EndStream: true}); err != nil {
				return err
			}
			for ; n > 1; n-- {
				h.buf.Reset()
				h.enc.WriteField(field("x-filler", "0123456789abcdef0123456789abcdef"+fmt.Sprint(n)))
				if err := h.WriteContinuation(id, false, h.buf.Bytes()); err != nil {
					return err
				}
			}
			return h.WriteContinuation(id, true, nil)
		},
		"PING": func(h *h2Conn, n int) error {
			for ; n > 0; n-- {
				if err := h.WritePing(false, [8]byte{1}); err != nil {
					return err
				}
			}
			return nil
		},
		"SETTINGS": func(h *h2Conn, n int) error {
			for ; n > 0; n-- {
				if err := h.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 65535}); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		// survived says how the connection is after n frames: nil when a request on it
		// is still answered.
		survived := func(t *testing.T, n int) error {
			h := open(t)
			defer h.Close()
			if err := flood(h, n); err != nil {
				return errors.New("closed while flooding")
			}
			if got := h.request("", ":method", "GET", ":scheme", "https", ":authority", "api.example.com", ":path", "/"); got != "200" {
				return errors.New(got)
			}
			return nil
		}
		attack.Stopped(t, "G12", name,
			func(t *testing.T) error { return survived(t, 3) }, // the frames are good ones
			func(t *testing.T) error {
				before, goroutines, start := asked.Load(), runtime.NumGoroutine(), time.Now()
				how := survived(t, many)
				if how == nil {
					how = errors.New("answered at its own pace")
				}
				// How many get through before the cut is a matter of the machine's speed.
				if n := asked.Load() - before; n >= many {
					return nil
				}
				if n := runtime.NumGoroutine(); n > goroutines+200 {
					t.Errorf("%d goroutines, before %d", n, goroutines)
				}
				if resp, _ := w.get(w.client(true), "https://api.example.com/"); resp.StatusCode != 200 || time.Since(start) > 15*time.Second {
					return nil
				}
				return fmt.Errorf("%w; the upstream saw %d requests, others are served", how, asked.Load()-before)
			})
	}
}

// An upstream that breaks HTTP/2 costs its own request.
func TestAttackHTTP2Upstream(t *testing.T) {
	w := newWorld(t, bareAPI, func(_ *world, c *proxy.Config) {
		c.Limits.ResponseHeader, c.Limits.UpstreamResponse, c.Limits.BodyIdle = 64<<10, time.Second, time.Second
	})
	leaf, err := w.authority.Leaf("api.example.com")
	if err != nil {
		t.Fatal(err)
	}
	// upstream speaks HTTP/2 as answer says, once the request is there.
	upstream := func(t *testing.T, answer func(h *h2Conn, id uint32) error) {
		l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{leaf}, NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		w.at(443, l.Addr().String())
		w.server.Swap(w.table(bareAPI, 2)) // forgets the connections of the row before
		go each(l, func(c net.Conn) {
			if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
				return
			}
			h := serverH2(c)
			if h.WriteSettings() != nil {
				return
			}
			for {
				f, err := h.ReadFrame()
				if err != nil {
					return
				}
				if f, ok := f.(*http2.MetaHeadersFrame); ok {
					if answer(h, f.StreamID) != nil {
						return
					}
				}
			}
		})
	}
	block := func(h *h2Conn, pairs ...string) []byte {
		h.buf.Reset()
		for i := 0; i < len(pairs); i += 2 {
			h.enc.WriteField(field(pairs[i], pairs[i+1]))
		}
		return h.buf.Bytes()
	}
	good := func(h *h2Conn, id uint32) error {
		return h.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(h, ":status", "200"), EndHeaders: true, EndStream: true})
	}
	get := func(t *testing.T) error {
		resp, err := w.client(true).Get("https://api.example.com/")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 {
			return errors.Join(errors.New(resp.Status), err)
		}
		return nil
	}
	for name, bad := range map[string]func(h *h2Conn, id uint32) error{
		"SETTINGS_MAX_FRAME_SIZE 1": func(h *h2Conn, id uint32) error {
			return h.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1})
		},
		"header bomb": func(h *h2Conn, id uint32) error {
			h.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(h, ":status", "200")})
			for range 1 << 16 {
				if err := h.WriteContinuation(id, false, block(h, "x-bomb", "0123456789abcdef0123456789abcdef0123456789abcdef")); err != nil {
					return err
				}
			}
			return nil
		},
		"endless 1xx": func(h *h2Conn, id uint32) error {
			for range 1 << 16 {
				if err := h.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(h, ":status", "103", "link", "</x>"), EndHeaders: true}); err != nil {
					return err
				}
			}
			return nil
		},
		"GOAWAY storm": func(h *h2Conn, _ uint32) error {
			for range 1000 {
				if err := h.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, nil); err != nil {
					return err
				}
			}
			return nil
		},
		"DATA before HEADERS": func(h *h2Conn, id uint32) error { return h.WriteData(id, true, []byte("x")) },
		"silence":             func(*h2Conn, uint32) error { return nil },
	} {
		attack.Stopped(t, "G13", name,
			func(t *testing.T) error { upstream(t, good); return get(t) },
			func(t *testing.T) error {
				upstream(t, bad)
				goroutines, start := runtime.NumGoroutine(), time.Now()
				err := get(t)
				if took := time.Since(start); took > 10*time.Second {
					t.Errorf("took %v", took)
				}
				for range 60 {
					if runtime.NumGoroutine() <= goroutines+10 {
						return err
					}
					time.Sleep(50 * time.Millisecond)
				}
				t.Errorf("%d goroutines, before %d", runtime.NumGoroutine(), goroutines)
				return err
			})
	}
}
