package h1_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bottled/proxy/h1"
	"bottled/upstreamtest"
)

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// upstream is a TLS server of bytes: answer gets the number of the connection, that of
// the request on it, and the connection.
type upstream struct {
	net.Listener
	pool  *h1.Pool
	conns atomic.Int32
}

func newUpstream(t *testing.T, answer func(conn, request int, c net.Conn) bool) *upstream {
	var conns atomic.Int32
	return newUpstreamOf(t, func(c *tls.Conn) {
		n, buf := int(conns.Add(1)), make([]byte, 4096)
		for request := 1; ; request++ {
			got, err := c.Read(buf)
			if err != nil || !bytes.HasSuffix(buf[:got], []byte("\r\n\r\n")) || !answer(n, request, c) {
				return
			}
		}
	})
}

// newUpstreamOf is a TLS server whose connections are served by serve.
func newUpstreamOf(t *testing.T, serve func(c *tls.Conn)) *upstream {
	t.Helper()
	authority, err := upstreamtest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority.Leaf("api.example.com")
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{leaf}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	u := &upstream{Listener: l}
	u.pool = h1.New(h1.Options{
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			u.conns.Add(1)
			return new(net.Dialer).DialContext(ctx, network, l.Addr().String())
		},
		TLS: &tls.Config{RootCAs: authority.Pool()}, HandshakeTimeout: 5 * time.Second, ResponseTimeout: time.Second,
		IdleTimeout: time.Minute, HeaderBytes: 4 << 10, MaxIdle: 4, MaxIdlePerHost: 2,
	})
	t.Cleanup(u.pool.Close)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c.(*tls.Conn))
			}()
		}
	}()
	return u
}

// get asks once and returns the body, and what kept the response from being whole.
func (u *upstream) get(ctx context.Context, interim h1.Interim) (string, error) {
	r, err := http.NewRequestWithContext(ctx, "GET", "https://api.example.com:443/", http.NoBody)
	if err != nil {
		return "", err
	}
	resp, _, err := u.pool.RoundTrip(r, interim)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func write(c net.Conn, s string) bool { _, err := io.WriteString(c, s); return err == nil }

func TestAConnectionIsKept(t *testing.T) {
	u := newUpstream(t, func(_, _ int, c net.Conn) bool { return write(c, ok) })
	for range 5 {
		if body, err := u.get(t.Context(), nil); body != "ok" || err != nil {
			t.Fatal(body, err)
		}
	}
	if n := u.conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
	u.pool.Close()
	if body, err := u.get(t.Context(), nil); body != "ok" || err != nil || u.conns.Load() != 2 {
		t.Error("a closed pool still carries requests, on connections that it does not keep:", body, err)
	}
}

// What is sent without being asked for is never the response to the next request: not
// when it waits in the kernel, nor when it came in one segment with the response
// before, in its record or in one of its own.
func TestUnaskedBytes(t *testing.T) {
	const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	for name, first := range map[string]func(c net.Conn) bool{
		"same record":    func(c net.Conn) bool { return write(c, ok+evil) },
		"next record":    func(c net.Conn) bool { return write(c, ok) && write(c, evil) },
		"later":          func(c net.Conn) bool { write(c, ok); time.Sleep(30 * time.Millisecond); return write(c, evil) },
		"after a 204":    func(c net.Conn) bool { return write(c, "HTTP/1.1 204 No Content\r\n\r\n"+evil) },
		"after a length": func(c net.Conn) bool { return write(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"+evil) },
	} {
		t.Run(name, func(t *testing.T) {
			written := make(chan struct{}, 1)
			u := newUpstream(t, func(conn, _ int, c net.Conn) bool {
				if conn == 1 {
					defer func() { written <- struct{}{} }()
					return first(c)
				}
				return write(c, ok)
			})
			if _, err := u.get(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			<-written
			time.Sleep(30 * time.Millisecond)
			if body, err := u.get(t.Context(), nil); body != "ok" || err != nil || u.conns.Load() != 2 {
				t.Errorf("%q, %v, %d connections", body, err, u.conns.Load())
			}
		})
	}
}

// A kept connection that ends instead of answering is not an error of the request's.
func TestAClosedConnectionIsReplaced(t *testing.T) {
	u := newUpstream(t, func(conn, request int, c net.Conn) bool { return (conn > 1 || request == 1) && write(c, ok) })
	for i := range 2 {
		if body, err := u.get(t.Context(), nil); body != "ok" || err != nil {
			t.Fatal(i, body, err)
		}
	}
	if n := u.conns.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
	u = newUpstream(t, func(int, int, net.Conn) bool { return false })
	if _, err := u.get(t.Context(), nil); err == nil || u.conns.Load() != 1 {
		t.Errorf("a new connection that ends is tried once: %v, %d", err, u.conns.Load())
	}
}

func TestBrokenResponses(t *testing.T) {
	for name, reply := range map[string]string{
		"header too large": "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 20<<10) + "\r\nContent-Length: 2\r\n\r\nok",
		"interim too many": strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 1000) + ok,
		"body cut short":   "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
		"chunk cut short":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok",
		"two lengths":      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
		"no HTTP":          "SSH-2.0-x\r\n\r\n",
		"head never ends":  "HTTP/1.1 200 OK\r\n",
	} {
		u := newUpstream(t, func(_, _ int, c net.Conn) bool {
			write(c, reply)
			if name == "head never ends" {
				time.Sleep(time.Second)
			}
			return false
		})
		body, err := u.get(t.Context(), func(int, textproto.MIMEHeader) error { return nil })
		if err == nil || u.conns.Load() != 1 {
			t.Errorf("%s: %q, %d connections", name, body, u.conns.Load())
		}
	}
}

func TestInterimAndItsRefusal(t *testing.T) {
	u := newUpstream(t, func(_, _ int, c net.Conn) bool {
		return write(c, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"+ok)
	})
	var seen []string
	body, err := u.get(t.Context(), func(code int, h textproto.MIMEHeader) error { seen = append(seen, h.Get("Link")); return nil })
	if body != "ok" || err != nil || len(seen) != 1 || seen[0] != "</x>" {
		t.Error(body, err, seen)
	}
	no := errors.New("no")
	if _, err := u.get(t.Context(), func(int, textproto.MIMEHeader) error { return no }); !errors.Is(err, no) {
		t.Error(err)
	}
}

// The end of its context ends a request, and the connection with it.
func TestContext(t *testing.T) {
	closed := make(chan bool, 1)
	u := newUpstream(t, func(_, _ int, c net.Conn) bool {
		write(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")
		_, err := c.Read(make([]byte, 1))
		closed <- err != nil
		return false
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if body, err := u.get(ctx, nil); err == nil {
		t.Error(body)
	}
	if !<-closed {
		t.Error("the connection is still open")
	}
}

func TestTheNameIsVerified(t *testing.T) {
	u := newUpstream(t, func(_, _ int, c net.Conn) bool { return write(c, ok) })
	r, _ := http.NewRequest("GET", "https://other.example.com:443/", http.NoBody)
	var cert *tls.CertificateVerificationError
	if _, _, err := u.pool.RoundTrip(r, nil); !errors.As(err, &cert) {
		t.Error(err)
	}
	r, _ = http.NewRequest("GET", "https://api.example.com:443/", http.NoBody)
	r.Header.Set("X", "a\r\nY: b")
	if _, _, err := u.pool.RoundTrip(r, nil); err == nil || u.conns.Load() != 1 {
		t.Error("a field split the message", err)
	}
}

// A request whose context has ended does not leave, also where a connection is kept.
func TestEndedContext(t *testing.T) {
	var requests atomic.Int32
	u := newUpstream(t, func(_, _ int, c net.Conn) bool { requests.Add(1); return write(c, ok) })
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	const times = 50
	for range times {
		if _, err := u.get(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := u.get(ended, nil); err == nil {
			t.Error("it was answered")
		}
	}
	if n := requests.Load(); n != times {
		t.Errorf("%d requests left, %d of them after their end", n, n-times)
	}
}
