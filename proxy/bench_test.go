package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"bottled/audit"
	"bottled/proxy"
)

// BenchmarkKeepAlive is one GET after another on 16 connections of the bottle, 1 KiB
// each, TLS on both sides, against a relay that copies the same bytes and looks at
// none. Client and upstream do as little as they can, in this process; cpu-µs/op is of
// all three, so what the Server costs is the difference to the relay.
func BenchmarkKeepAlive(b *testing.B) {
	w := newWorld(b, bareAPI, func(_ *world, c *proxy.Config) { c.Audit = audit.Discard })
	up := bareUpstream(b, w)
	request := []byte("GET /some/path?query=1 HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: bench/1\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n")
	b.Run("bottled", func(b *testing.B) {
		pump(b, request, func() net.Conn { return w.tls("api.example.com", 443, "http/1.1") })
	})
	relay := plainRelay(b, up)
	b.Run("relay", func(b *testing.B) {
		pump(b, request, func() net.Conn {
			c, err := tls.Dial("tcp", relay, &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				b.Fatal(err)
			}
			return c
		})
	})
}

// BenchmarkHTTP2 is the same over one HTTP/2 connection, through net/http's client.
func BenchmarkHTTP2(b *testing.B) {
	w := newWorld(b, bareAPI, func(_ *world, c *proxy.Config) { c.Audit = audit.Discard })
	bareUpstream(b, w)
	client := w.client(true)
	get := func() {
		resp, err := client.Get("https://api.example.com/some/path?query=1")
		if err != nil {
			b.Error(err)
			return
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	get()
	inParallel(b, 16, func(next func() bool) {
		for next() {
			get()
		}
	})
}

// pump sends request b.N times over 16 connections that open makes.
func pump(b *testing.B, request []byte, open func() net.Conn) {
	conns := make(chan net.Conn, 16)
	for range cap(conns) {
		conns <- open()
	}
	inParallel(b, cap(conns), func(next func() bool) {
		c := <-conns
		defer c.Close()
		in := bufio.NewReader(c)
		for next() {
			if _, err := c.Write(request); err != nil {
				b.Error(err)
				return
			}
			resp, err := http.ReadResponse(in, nil)
			if err != nil || resp.ContentLength != 1024 {
				b.Error(resp, err)
				return
			}
			in.Discard(1024)
		}
	})
}

// inParallel shares b.N turns among n goroutines and measures the processor time.
func inParallel(b *testing.B, n int, work func(next func() bool)) {
	var turns atomic.Int64
	var all sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu(b)
	for range n {
		all.Go(func() { work(func() bool { return turns.Add(1) <= int64(b.N) }) })
	}
	all.Wait()
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// bareUpstream answers each head with the same 1 KiB and returns its address.
func bareUpstream(b *testing.B, w *world) string {
	reply := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: Mon, 02 Jan 2026 15:04:05 GMT\r\nContent-Length: " + strconv.Itoa(1024) + "\r\n\r\n" + strings.Repeat("x", 1024))
	leaf, err := w.authority.Leaf("api.example.com")
	if err != nil {
		b.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{leaf}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	w.at(443, l.Addr().String())
	go each(l, func(c net.Conn) {
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			for range bytes.Count(buf[:n], []byte("\r\n\r\n")) {
				c.Write(reply)
			}
		}
	})
	return l.Addr().String()
}

func plainRelay(b *testing.B, to string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go each(l, func(c net.Conn) {
		up, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer up.Close()
		go func() { io.Copy(up, c); up.(*net.TCPConn).CloseWrite() }()
		io.Copy(c, up)
	})
	return l.Addr().String()
}

// each serves the connections of l until it is closed.
func each(l net.Listener, serve func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() { defer c.Close(); serve(c) }()
	}
}
