package proxy_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// sink is an upstream of bytes: it keeps everything that reaches it and answers
// whatever looks like the end of a head.
type sink struct {
	l     net.Listener
	tls   *tls.Config
	reply string
	mu    sync.Mutex
	got   bytes.Buffer
	conns int
}

const okReply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// sink listens on a port of the world, with TLS for names if there are any.
func (w *world) sink(port uint16, reply string, names ...string) *sink {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	s := &sink{l: l, reply: reply}
	if len(names) > 0 {
		leaf, err := w.authority.Leaf(names...)
		if err != nil {
			w.t.Fatal(err)
		}
		s.tls = &tls.Config{Certificates: []tls.Certificate{leaf}}
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.t.Cleanup(func() { c.Close() })
			served.Go(func() { s.serve(c) })
		}
	})
	w.t.Cleanup(func() { l.Close() })
	w.at(port, l.Addr().String())
	return s
}

func (s *sink) serve(c net.Conn) {
	defer c.Close()
	s.mu.Lock()
	s.conns++
	s.mu.Unlock()
	if s.tls != nil {
		t := tls.Server(c, s.tls)
		if t.Handshake() != nil {
			return
		}
		c = t
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		s.mu.Lock()
		s.got.Write(buf[:n])
		heads := bytes.Count(buf[:n], []byte("\r\n\r\n"))
		s.mu.Unlock()
		if heads > 0 {
			if _, err := c.Write([]byte(s.reply)); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (s *sink) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.String()
}

func (s *sink) opened() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// direct sends bytes straight to the sink, as if nobody were between: it is the
// control of the rows that send bytes.
func (s *sink) direct(_ *testing.T, send string) error {
	c, err := net.Dial("tcp", s.l.Addr().String())
	if err != nil {
		return err
	}
	defer c.Close()
	if s.tls != nil {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	before := len(s.text())
	if _, err := c.Write([]byte(send)); err != nil {
		return err
	}
	for range 200 {
		if s.text()[before:] == send {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("the upstream got %.60q", s.text()[before:])
}

// through sends the same bytes through the bottle and returns an error that says
// how it was stopped, or nil when anything at all reached the sink.
func (s *sink) through(t *testing.T, c net.Conn, send string) error {
	defer c.Close()
	before := len(s.text())
	reply := raw(t, c, send)
	time.Sleep(10 * time.Millisecond)
	if got := s.text()[before:]; got != "" {
		t.Logf("reached the upstream: %q", got)
		return nil
	}
	line, _, _ := strings.Cut(reply, "\r\n")
	if line == "" {
		return errors.New("closed")
	}
	return errors.New(line)
}
