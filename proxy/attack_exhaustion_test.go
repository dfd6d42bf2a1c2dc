package proxy_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bottled/attack"
	"bottled/proxy"
	"bottled/routes"
)

// zeros is a body of n bytes.
func zeros(n int64) io.Reader { return io.LimitReader(zero{}, n) }

type zero struct{}

func (zero) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// peak runs f and returns by how many bytes the heap in use grew meanwhile.
func peak(f func()) uint64 {
	var m runtime.MemStats
	heap := func() uint64 { runtime.GC(); runtime.ReadMemStats(&m); return m.HeapAlloc }
	before := heap()
	done, top := make(chan struct{}), before
	go func() { defer close(done); f() }()
	for {
		select {
		case <-done:
			return max(top, before) - before
		case <-time.After(20 * time.Millisecond):
			top = max(top, heap())
		}
	}
}

// A body of any size passes through a memory that stays the same.
func TestAttackLargeBodies(t *testing.T) {
	const size, bound = 96 << 20, 24 << 20
	for _, h2 := range []bool{false, true} {
		w := newWorld(t, injecting)
		w.upstream(func(rw http.ResponseWriter, r *http.Request) {
			n, _ := io.Copy(io.Discard, r.Body)
			rw.Header().Set("X-Got", fmt.Sprint(n))
			io.Copy(rw, zeros(size-n)) // what was not sent comes back
		}, "api.example.com")
		client := w.client(h2)
		for name, body := range map[string]io.Reader{"upload": zeros(size), "download": nil} {
			attack.Stopped(t, "X04", fmt.Sprintf("%s of 96 MiB, h2 %v", name, h2),
				func(*testing.T) error { // a proxy that holds a third of it would be seen
					if grown := peak(func() {
						held, _ := io.ReadAll(zeros(size / 3))
						time.Sleep(60 * time.Millisecond)
						runtime.KeepAlive(held)
					}); grown < bound {
						return fmt.Errorf("a buffer of %d bytes does not show: %d", size/3, grown)
					}
					return nil
				},
				func(t *testing.T) error {
					var total int64
					grown := peak(func() {
						req, _ := http.NewRequest("POST", "https://api.example.com/", body)
						resp, err := client.Do(req)
						if err != nil {
							t.Error(err)
							return
						}
						defer resp.Body.Close()
						fmt.Sscan(resp.Header.Get("X-Got"), &total)
						n, _ := io.Copy(io.Discard, resp.Body)
						total += n
					})
					if total != size {
						t.Errorf("%d of %d bytes passed", total, size)
					}
					if grown > bound {
						return nil
					}
					return fmt.Errorf("%d KiB more heap", grown>>10)
				})
		}
	}
}

// A panic in whatever serves a connection ends that connection.
func TestAttackPanic(t *testing.T) {
	var armed atomic.Value // where the next panic is
	boom := func(where string) {
		if armed.Load() == where {
			panic("attack: " + where)
		}
	}
	w := newWorld(t, bareAPI, func(w *world, c *proxy.Config) {
		names := c.Names
		c.Names = func(a netip.Addr) (routes.Host, bool) { boom("sorting"); return names(a) }
		c.Magic = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { boom("handler") })
	})
	w.upstream(func(http.ResponseWriter, *http.Request) {}, "api.example.com")
	for _, where := range []string{"sorting", "handler"} {
		before := w.server.Stats().Panics
		attack.Stopped(t, "X06", where,
			func(*testing.T) (err error) {
				defer func() {
					if recover() == nil {
						err = errors.New("it does not panic")
					}
				}()
				armed.Store(where)
				boom(where)
				return nil
			},
			func(t *testing.T) error {
				url := "http://" + routes.MagicHost + "/mcp"
				if resp, err := w.client(false).Get(url); err == nil {
					resp.Body.Close()
					t.Error("answered", resp.Status)
				}
				armed.Store("")
				if resp, err := w.client(false).Get("https://api.example.com/"); err != nil || resp.StatusCode != 200 {
					return nil
				}
				if n := w.server.Stats().Panics; n <= before {
					t.Errorf("%d panics counted", n)
				}
				return errors.New("that connection closed, the next one served")
			})
	}
}

// An upstream that stalls is given up, before its header and in its body, and
// whatever was in the middle of something ends: goroutines and connections.
func TestAttackStallAndLeaks(t *testing.T) {
	w := newWorld(t, `{"routes": [{"host": "api.example.com"}]}`, func(_ *world, c *proxy.Config) {
		c.Limits.UpstreamResponse, c.Limits.BodyIdle, c.Limits.WebSocketIdle = time.Second, time.Second, time.Second
	})
	w.upstream(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ws":
			webSocket(rw, r)
			return
		case "/body":
			flushed(rw, "some")
		case "/quick":
			return
		}
		io.Copy(io.Discard, r.Body) // before that nobody would tell this upstream that its client went
		select {
		case <-r.Context().Done():
		case <-time.After(20 * time.Second):
		}
	}, "api.example.com")
	quick := func() error {
		resp, err := w.client(false).Get("https://api.example.com/quick")
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	for _, h2 := range []bool{false, true} {
		for _, method := range []string{"GET", "POST"} {
			attack.Stopped(t, "X19", fmt.Sprintf("%s, header never comes, h2 %v", method, h2),
				func(*testing.T) error { return quick() },
				func(t *testing.T) error {
					req, _ := http.NewRequest(method, "https://api.example.com/head", nil)
					resp, err := w.client(h2).Do(req)
					if err != nil {
						t.Fatal(err)
					}
					defer resp.Body.Close()
					if resp.StatusCode != http.StatusGatewayTimeout {
						t.Errorf("status %d", resp.StatusCode)
					}
					return errors.New(resp.Status)
				})
			attack.Stopped(t, "X19", fmt.Sprintf("%s, body never ends, h2 %v", method, h2),
				func(*testing.T) error { return quick() },
				func(t *testing.T) error {
					req, _ := http.NewRequest(method, "https://api.example.com/body", nil)
					resp, err := w.client(h2).Do(req)
					if err != nil {
						t.Fatal(err)
					}
					defer resp.Body.Close()
					_, err = io.ReadAll(resp.Body)
					return err
				})
		}
	}
	baseline := 0
	settled := func() int {
		for range 100 {
			if runtime.NumGoroutine() <= baseline+5 {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		return runtime.NumGoroutine()
	}
	for name, begin := range map[string]string{
		"WebSocket":             handshake,
		"stalled upstream":      "GET /head HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
		"stream":                "GET /body HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
		"request in the middle": "POST /head HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 100\r\n\r\nsome",
		"head in the middle":    "GET /head HTTP/1.1\r\nHost: api.exa",
	} {
		for how, leave := range map[string]func(c *tls.Conn){
			"RST": func(c *tls.Conn) { c.NetConn().(*net.TCPConn).SetLinger(0); c.NetConn().Close() },
			"FIN": func(c *tls.Conn) { c.NetConn().Close() },
		} {
			baseline = runtime.NumGoroutine()
			var conns []*tls.Conn
			for range 40 {
				c := w.tls("api.example.com", 443, "http/1.1")
				io.WriteString(c, begin)
				conns = append(conns, c)
			}
			for range 100 { // until they show, on a machine with other things to do
				time.Sleep(50 * time.Millisecond)
				if runtime.NumGoroutine() >= baseline+20 {
					break
				}
			}
			id := "X09"
			if strings.HasSuffix(name, "middle") {
				id = "T10"
			}
			attack.Stopped(t, id, name+", then "+how,
				func(*testing.T) error { // while they are there, they show
					if n := runtime.NumGoroutine() - baseline; n < 20 {
						return fmt.Errorf("%d goroutines for 40 connections", n)
					}
					return nil
				},
				func(*testing.T) error {
					for _, c := range conns {
						leave(c)
					}
					if n := settled(); n > baseline+15 {
						return nil
					}
					return errors.New("goroutines are back where they were")
				})
		}
	}
	for range 100 { // settled lets a few goroutines pass that are on their way out
		if w.server.Stats().Live == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("%d requests are still under way", w.server.Stats().Live)
}

// What an upstream sends without being asked is never another request's response.
func TestAttackUnaskedResponse(t *testing.T) {
	const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	attack.Stopped(t, "H31", "two responses to one request",
		func(t *testing.T) error {
			w := newWorld(t, bareAPI)
			s := w.sink(443, okReply+evil, "api.example.com")
			c, err := tls.Dial("tcp", s.l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				return err
			}
			defer c.Close()
			if got := raw(t, c, head+"\r\n"); !strings.HasSuffix(got, "evil") {
				return fmt.Errorf("%q", got)
			}
			return nil
		},
		func(t *testing.T) error {
			w := newWorld(t, bareAPI)
			s := w.sink(443, okReply+evil, "api.example.com")
			client := w.client(false)
			for range 5 {
				if _, body := w.get(client, "https://api.example.com/"); strings.Contains(body, "evil") {
					return nil
				}
			}
			return fmt.Errorf("5 requests on %d connections, each with its own response", s.opened())
		})
}
