package proxy_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"bottled/attack"
	"bottled/proxy"
)

// flooded is a world whose upstream counts what reaches it, and answers /slow when the
// request is given up.
type flooded struct {
	*world
	asked atomic.Int64
}

func newFlooded(t *testing.T, limits func(*proxy.Limits)) *flooded {
	f := &flooded{world: newWorld(t, bareAPI, func(_ *world, c *proxy.Config) { limits(&c.Limits) })}
	f.upstream(func(_ http.ResponseWriter, r *http.Request) {
		f.asked.Add(1)
		if r.URL.Path == "/slow" {
			select {
			case <-r.Context().Done():
			case <-time.After(5 * time.Second):
			}
		}
	}, "api.example.com")
	return f
}

func (f *flooded) open() *h2Conn {
	f.t.Helper()
	h, err := newH2(f.tls("api.example.com", 443, "h2"))
	if err != nil {
		f.t.Fatal(err)
	}
	h.AllowIllegalWrites = true
	h.SetDeadline(time.Now().Add(30 * time.Second))
	return h
}

// watch reads until the connection ends, and tells the GOAWAY with which it does.
func (h *h2Conn) watch() <-chan string {
	gone := make(chan string, 1)
	go func() {
		for {
			f, err := h.ReadFrame()
			if err != nil {
				gone <- err.Error()
				return
			}
			if f, ok := f.(*http2.GoAwayFrame); ok {
				gone <- "GOAWAY " + f.ErrCode.String()
				return
			}
		}
	}()
	return gone
}

// others returns nil unless somebody else is served, and soon.
func (f *flooded) others(since time.Time) error {
	resp, _ := f.get(f.client(true), "https://api.example.com/")
	if resp.StatusCode != 200 || time.Since(since) > 15*time.Second {
		return fmt.Errorf("others get %s, %v after the flood began", resp.Status, time.Since(since))
	}
	return nil
}

// fields is the header block of a GET.
func (h *h2Conn) fields(path string) []byte {
	h.buf.Reset()
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "api.example.com"}, {":path", path}} {
		h.enc.WriteField(field(f[0], f[1]))
	}
	return h.buf.Bytes()
}

// ask is a request on a stream that ends before the answer, in the way that is tried.
func (h *h2Conn) ask(path string) (id uint32, err error) {
	id = h.stream
	h.stream += 2
	return id, h.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: h.fields(path), EndHeaders: true, EndStream: true})
}

// get is one that waits for its answer.
func (h *h2Conn) get() string {
	return h.request("", ":method", "GET", ":scheme", "https", ":authority", "api.example.com", ":path", "/")
}

// A client that has its requests forwarded and gives each up at once, by RST_STREAM
// (CVE-2023-44487) or by what makes the server reset the stream (CVE-2025-8671), has so
// many and then no connection. Each waits until the upstream has seen it, so that it
// does not matter how fast anything is.
func TestAttackHTTP2Resets(t *testing.T) {
	const streams, resets, tries, many = 16, 40, 120, 5000
	for name, end := range map[string]func(h *h2Conn, id uint32) error{
		"rapid reset":                         func(h *h2Conn, id uint32) error { return h.WriteRSTStream(id, http2.ErrCodeCancel) },
		"MadeYouReset, WINDOW_UPDATE of 0":    func(h *h2Conn, id uint32) error { return h.WriteWindowUpdate(id, 0) },
		"MadeYouReset, window overflow":       func(h *h2Conn, id uint32) error { return h.WriteWindowUpdate(id, 1<<31-1) },
		"MadeYouReset, DATA after END_STREAM": func(h *h2Conn, id uint32) error { return h.WriteData(id, true, []byte("x")) },
		"MadeYouReset, HEADERS after END_STREAM": func(h *h2Conn, id uint32) error {
			return h.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: h.fields("/slow"), EndHeaders: true, EndStream: true})
		},
		"MadeYouReset, PRIORITY on itself": func(h *h2Conn, id uint32) error {
			return h.WritePriority(id, http2.PriorityParam{StreamDep: id})
		},
	} {
		// giveUp is how many requests of one connection reach the upstream, and how it ends.
		giveUp := func(f *flooded) (reached int64, ended string) {
			h := f.open()
			defer h.Close()
			gone := h.watch()
			for reached < tries {
				before := f.asked.Load()
				id, err := h.ask("/slow")
				for err == nil && f.asked.Load() == before {
					select {
					case ended := <-gone:
						return reached, ended
					case <-time.After(100 * time.Microsecond):
					}
				}
				if reached++; err != nil || end(h, id) != nil {
					return reached, <-gone
				}
			}
			return reached, ""
		}
		attack.Stopped(t, "G12", name,
			func(t *testing.T) error { // with more to give up than it tries
				f := newFlooded(t, func(l *proxy.Limits) { l.Streams, l.Resets = streams, 10*tries })
				if n, ended := giveUp(f); n != tries || ended != "" {
					return fmt.Errorf("%d of %d reached the upstream: %s", n, tries, ended)
				}
				return nil
			},
			func(t *testing.T) error {
				f, start := newFlooded(t, func(l *proxy.Limits) { l.Streams, l.Resets = streams, resets }), time.Now()
				n, ended := giveUp(f)
				// What may be given up at once, and since then, and what was under way.
				if most := resets + int64(time.Since(start).Seconds()*resets/10) + streams; n > most {
					t.Logf("%d of at most %d reached the upstream", n, most)
					return nil
				}
				if ended != "GOAWAY ENHANCE_YOUR_CALM" {
					t.Error(ended)
				}
				again := f.open() // no new connection brings new ones, however fast it is
				defer again.Close()
				gone := again.watch()
				for range many {
					if id, err := again.ask("/slow"); err != nil || end(again, id) != nil {
						break
					}
				}
				if how := <-gone; !strings.HasPrefix(how, "GOAWAY ") {
					t.Error(how)
				}
				if err := f.others(start); err != nil {
					t.Error(err)
				}
				return fmt.Errorf("%s after %d requests", ended, n)
			})
	}
}

// A client that floods frames is cut off or held to its bounds, and others are served.
func TestAttackHTTP2Floods(t *testing.T) {
	f := newFlooded(t, func(l *proxy.Limits) { l.Streams, l.HeaderBytes = 16, 64<<10 })
	for name, flood := range map[string]func(h *h2Conn, n int) error{
		"CONTINUATION": func(h *h2Conn, n int) error {
			id := h.stream
			h.stream += 2
			if err := h.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: h.fields("/"), EndStream: true}); err != nil {
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
		survived := func(n int) error {
			h := f.open()
			defer h.Close()
			if err := flood(h, n); err != nil {
				return errors.New("closed while flooding")
			}
			if got := h.get(); got != "200" {
				return errors.New(got)
			}
			return nil
		}
		attack.Stopped(t, "G12", name,
			func(*testing.T) error { return survived(3) }, // the frames are good ones
			func(t *testing.T) error {
				before, goroutines, start := f.asked.Load(), runtime.NumGoroutine(), time.Now()
				how := survived(20000)
				if how == nil {
					how = errors.New("answered at its own pace")
				}
				if n := f.asked.Load() - before; n > 1 {
					t.Errorf("the upstream saw %d requests", n)
				}
				if n := runtime.NumGoroutine(); n > goroutines+200 {
					t.Errorf("%d goroutines, before %d", n, goroutines)
				}
				if err := f.others(start); err != nil {
					t.Log(err)
					return nil
				}
				return fmt.Errorf("%w; others are served", how)
			})
	}
}

// However many connections and streams there are, the bottle has so many requests under
// way and no more, and the next is told why.
func TestAttackConcurrency(t *testing.T) {
	const most, tries = 6, 24
	var under atomic.Int64
	var release chan struct{}
	w := newWorld(t, bareAPI, func(_ *world, c *proxy.Config) { c.Limits.Requests = most })
	up := w.upstream(func(http.ResponseWriter, *http.Request) {
		under.Add(1)
		<-release
		under.Add(-1)
	}, "api.example.com")
	// burst has many requests under way until each is at the upstream or refused.
	burst := func(url string, clients ...*http.Client) (peak, busy int64) {
		release = make(chan struct{})
		var refused atomic.Int64
		var all sync.WaitGroup
		for i := range tries {
			all.Go(func() {
				resp, err := clients[i%len(clients)].Get(url)
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				body, _ := io.ReadAll(resp.Body)
				if resp.StatusCode == http.StatusTooManyRequests && strings.Contains(string(body), "too-many-requests") {
					refused.Add(1)
				} else if resp.StatusCode != 200 {
					t.Errorf("%s %q", resp.Status, body)
				}
			})
		}
		for wait := time.Now(); under.Load()+refused.Load() < tries && time.Since(wait) < 10*time.Second; {
			time.Sleep(time.Millisecond)
		}
		peak, busy = under.Load(), refused.Load()
		close(release)
		all.Wait()
		return peak, busy
	}
	attack.Stopped(t, "G12", "more requests at once than the bottle may have",
		func(t *testing.T) error {
			if peak, _ := burst("https://"+up.Addr.String(), w.direct()); peak != tries {
				return fmt.Errorf("%d at once", peak)
			}
			return nil
		},
		func(t *testing.T) error {
			peak, busy := burst("https://api.example.com/", w.client(false), w.client(true), w.client(true))
			if peak > most {
				return nil
			}
			if peak != most || busy != tries-most {
				t.Errorf("%d at once, %d refused", peak, busy)
			}
			release = make(chan struct{})
			close(release)
			if resp, _ := w.get(w.client(false), "https://api.example.com/"); resp.StatusCode != 200 {
				t.Error(resp.Status)
			}
			return fmt.Errorf("%d at once, %d refused", peak, busy)
		})
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
