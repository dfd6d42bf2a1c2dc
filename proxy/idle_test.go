package proxy_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"bottled/audit"
	"bottled/proxy"
)

// A request that was answered before its body had come leaves nothing behind, although
// the body was still being read then.
func TestAnsweredEarlyHoldsNothing(t *testing.T) {
	const requests, large = 40, 200 << 10
	w := newWorld(t, bareAPI, func(_ *world, c *proxy.Config) { c.Audit = audit.Discard }) // an event holds parts of the head
	leaf, err := w.authority.Leaf("api.example.com")
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{leaf}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	w.at(443, l.Addr().String())
	go func() { // an upstream that remembers nothing
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			c.Read(make([]byte, 1024))
			io.WriteString(c, "HTTP/1.1 413 \r\nContent-Length: 0\r\n\r\n")
			io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what pools hold goes with the second
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for range requests {
		c := w.tls("api.example.com", 443, "http/1.1")
		c.SetDeadline(time.Now().Add(5 * time.Second))
		fmt.Fprintf(c, "POST /x HTTP/1.1\r\nHost: api.example.com\r\nX: %s\r\nContent-Length: 10\r\n\r\nabc", strings.Repeat("x", large))
		answer := make([]byte, 12)
		if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "HTTP/1.1 413" {
			t.Fatalf("%q, %v", answer, err)
		}
		c.Close()
	}
	var each int64
	for range 100 { // until the last have ended
		if each = (heap() - before) / requests; each < large/4 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("%d bytes each", each)
}
