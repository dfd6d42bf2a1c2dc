package h1_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"bottled/proxy/h1"
)

// readyBody is a body that is in memory.
type readyBody struct{ io.Reader }

func (readyBody) Close() error { return nil }
func (readyBody) Ready() bool  { return true }

// hold is the reader of a body that never ends.
type hold chan struct{}

func (h hold) Read([]byte) (int, error) { <-h; return 0, io.ErrUnexpectedEOF }

// send makes one request with a body and returns the answer's.
func (u *upstream) send(t *testing.T, method string, length int64, body io.ReadCloser) (string, error) {
	r, err := http.NewRequestWithContext(t.Context(), method, "https://api.example.com:443/up", body)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = length
	if !h1.Takes(r) {
		t.Fatal("not taken")
	}
	resp, _, err := u.pool.RoundTrip(r, nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// newReader is an upstream that reads requests as net/http does and answers with what
// it read.
func newReader(t *testing.T) *upstream {
	return newUpstreamOf(t, func(c *tls.Conn) {
		in := bufio.NewReader(c)
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			body, err := io.ReadAll(r.Body)
			text := fmt.Sprintf("%s %d %d %v", r.Method, r.ContentLength, len(body), err)
			if _, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text); err != nil {
				return
			}
		}
	})
}

func TestBodies(t *testing.T) {
	u := newReader(t)
	large := strings.Repeat("x", 1<<20)
	for _, row := range []struct {
		method string
		length int64
		body   io.Reader
		ready  bool
		want   string
	}{
		{"POST", 3, strings.NewReader("abc"), true, "POST 3 3 <nil>"},
		{"POST", 3, strings.NewReader("abc"), false, "POST 3 3 <nil>"},
		{"PUT", 3, iotest.OneByteReader(strings.NewReader("abc")), false, "PUT 3 3 <nil>"},
		{"POST", -1, iotest.OneByteReader(strings.NewReader("abc")), false, "POST -1 3 <nil>"},
		{"POST", -1, strings.NewReader(""), false, "POST -1 0 <nil>"},
		{"POST", 1 << 20, strings.NewReader(large), false, "POST 1048576 1048576 <nil>"},
		{"PATCH", -1, strings.NewReader(large), false, "PATCH -1 1048576 <nil>"},
		{"GET", 3, strings.NewReader("abc"), false, "GET 3 3 <nil>"},
	} {
		body := io.NopCloser(row.body)
		if row.ready {
			body = readyBody{row.body}
		}
		if got, err := u.send(t, row.method, row.length, body); got != row.want || err != nil {
			t.Errorf("%q, %v instead of %q", got, err, row.want)
		}
	}
	if got, err := u.send(t, "POST", 0, http.NoBody); got != "POST 0 0 <nil>" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if n := u.conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// A body that breaks off is an error of the request's, whichever way it goes, and never
// whole at the upstream.
func TestBrokenBodies(t *testing.T) {
	broken := errors.New("broken")
	for name, body := range map[string]io.ReadCloser{
		"now":   readyBody{io.MultiReader(strings.NewReader("ab"), iotest.ErrReader(broken))},
		"later": io.NopCloser(io.MultiReader(strings.NewReader("ab"), iotest.ErrReader(broken))),
	} {
		for _, length := range []int64{3, -1} {
			whole := make(chan error, 1)
			u := newUpstreamOf(t, func(c *tls.Conn) {
				r, err := http.ReadRequest(bufio.NewReader(c))
				if err == nil {
					_, err = io.ReadAll(r.Body)
				}
				whole <- err
			})
			if got, err := u.send(t, "POST", length, body); !errors.Is(err, broken) {
				t.Errorf("%s: %q, %v", name, got, err)
			}
			if err := <-whole; err == nil {
				t.Errorf("%s: the upstream's copy has an end", name)
			}
		}
	}
	u := newReader(t)
	for length, text := range map[int64]string{2: "abc", 4: "abc"} {
		if got, err := u.send(t, "POST", length, io.NopCloser(strings.NewReader(text))); err == nil {
			t.Errorf("%d bytes of %d: %q", len(text), length, got)
		}
	}
}

// An upstream may answer before it has the body; its connection is not used again.
func TestEarlyAnswer(t *testing.T) {
	u := newUpstreamOf(t, func(c *tls.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			write(c, ok)
			io.Copy(io.Discard, c)
		}
	})
	for range 2 {
		never := make(hold)
		got, err := u.send(t, "POST", -1, io.NopCloser(never))
		if got != "ok" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		close(never)
	}
	if n := u.conns.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// The time for the answer counts from the end of the body.
func TestSlowBody(t *testing.T) {
	u := newReader(t)
	r, w := io.Pipe()
	go func() {
		for range 4 {
			time.Sleep(400 * time.Millisecond) // together longer than ResponseTimeout
			io.WriteString(w, "x")
		}
		w.Close()
	}()
	if got, err := u.send(t, "POST", -1, r); got != "POST -1 4 <nil>" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	silent := newUpstreamOf(t, func(c *tls.Conn) { io.Copy(io.Discard, c) })
	start := time.Now()
	if _, err := silent.send(t, "POST", 1, io.NopCloser(strings.NewReader("x"))); err == nil || time.Since(start) < 900*time.Millisecond {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

// What is not repeatable is not repeated, though the connection was a kept one.
func TestNoRepetition(t *testing.T) {
	var n atomic.Int32
	u := newUpstreamOf(t, func(c *tls.Conn) {
		in := bufio.NewReader(c)
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			io.Copy(io.Discard, r.Body)
			if n.Add(1) == 2 {
				return
			}
			write(c, ok)
		}
	})
	for i, want := range []bool{true, false} {
		if _, err := u.send(t, "POST", 3, readyBody{strings.NewReader("abc")}); (err == nil) != want {
			t.Error(i, err)
		}
	}
	if n.Load() != 2 {
		t.Errorf("sent %d times", n.Load())
	}
}
