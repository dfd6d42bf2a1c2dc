package proxy_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"bottled/attack"
	"bottled/proxy"
)

// What is no TLS and no HTTP/1 goes nowhere.
func TestAttackProtocols(t *testing.T) {
	w := newWorld(t, bareAPI)
	s := w.sink(443, okReply)
	for _, row := range []struct{ id, name, send string }{
		{"T03", "server speaks first", ""},
		{"T06", "PROXY v1", "PROXY TCP4 10.0.0.9 10.0.0.1 1 2\r\nGET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n"},
		{"T06", "PROXY v2", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"},
		{"T07", "SOCKS4a", "\x04\x01\x01\xbb\x00\x00\x00\x01\x00evil\x00"},
		{"T07", "SOCKS5", "\x05\x01\x00\x05\x01\x00\x03\x10evil\x00.example.com\x01\xbb"},
		{"H27", "HTTP/2 without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"},
		{"T04", "SSH on 443", "SSH-2.0-OpenSSH_9.6\r\n"},
	} {
		attack.Stopped(t, row.id, row.name,
			func(t *testing.T) error { return s.direct(t, row.send) },
			func(t *testing.T) error {
				before := len(w.dials())
				c := w.connectName("api.example.com", 443)
				defer c.Close()
				io.WriteString(c, row.send)
				c.SetReadDeadline(time.Now().Add(3 * time.Second))
				_, err := io.ReadAll(c)
				if len(w.dials()) != before {
					return nil
				}
				var timeout net.Error
				if errors.As(err, &timeout) && timeout.Timeout() {
					t.Error("not closed")
				}
				return errors.New("closed, nothing dialled")
			})
	}
}

// A connection to the listener itself is closed.
func TestAttackDirectConnection(t *testing.T) {
	w := newWorld(t, bareAPI)
	s := w.sink(80, okReply)
	for _, dst := range []string{"127.0.0.1:15001", "[::1]:15001", "100.64.0.2:15001", "0.0.0.0:80", "[::ffff:127.0.0.1]:80"} {
		attack.Stopped(t, "K24", dst,
			func(t *testing.T) error { return s.direct(t, head+"\r\n") },
			func(t *testing.T) error { return s.through(t, w.connect(netip.MustParseAddrPort(dst)), head+"\r\n") })
	}
}

// The environment's proxy is nobody's.
func TestAttackProxyEnvironment(t *testing.T) {
	w := newWorld(t, bareAPI)
	s := w.sink(80, okReply)
	t.Setenv("HTTP_PROXY", "http://"+s.l.Addr().String())
	t.Setenv("HTTPS_PROXY", "http://"+s.l.Addr().String())
	up := w.sink(443, okReply, "api.example.com")
	attack.Stopped(t, "H37", "HTTPS_PROXY",
		func(t *testing.T) error { return s.direct(t, head+"\r\n") },
		func(t *testing.T) error {
			before := s.opened()
			ask(t, w.tls("api.example.com", 443), "api.example.com", "/")
			if s.opened() != before || up.opened() != 1 {
				return nil
			}
			return errors.New("the proxy saw nothing")
		})
}

// A bottle holds no more connections than its bound.
func TestAttackConnections(t *testing.T) {
	w := newWorld(t, bareAPI, func(_ *world, c *proxy.Config) { c.Limits.Connections = 8; c.Limits.Header = time.Second })
	open := func(n int) (alive int) {
		var list []net.Conn
		for range n {
			c := w.connectName("api.example.com", 80)
			io.WriteString(c, "GET / HT")
			list = append(list, c)
		}
		for _, c := range list {
			c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			var timeout net.Error
			if _, err := c.Read(make([]byte, 1)); errors.As(err, &timeout) && timeout.Timeout() {
				alive++
			}
		}
		return alive
	}
	attack.Stopped(t, "X01", "slow heads over the bound",
		func(*testing.T) error {
			if n := open(8); n != 8 {
				return fmt.Errorf("%d of 8 open", n)
			}
			return nil
		},
		func(*testing.T) error {
			if n := open(50); n > 8 {
				return nil
			}
			return fmt.Errorf("%d closed at once", w.server.Stats().Overflow)
		})
	time.Sleep(1500 * time.Millisecond) // Limits.Header ends the slow ones
	s := w.sink(80, okReply)
	if reply := raw(t, w.connectName("api.example.com", 80), head+"\r\n"); !strings.HasPrefix(reply, "HTTP/1.1 200") || s.opened() != 1 {
		t.Errorf("after the flood: %q", reply)
	}
}
