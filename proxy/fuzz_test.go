package proxy_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bottled/audit"
	"bottled/proxy"
)

// message is a request as some reader understands it.
type message struct {
	method, target, host string
	header               http.Header
	body                 string
}

// plainMessage reads the next request as the simplest of servers does, and returns its
// bytes too: lines end in CRLF, a length is a number, a chunk has a size and nothing else.
// Anything that needs more of a reader is an error.
func plainMessage(in *bufio.Reader, begun func(header http.Header)) (m message, text string, err error) {
	var all strings.Builder
	line := func() string {
		got, e := in.ReadString('\n')
		all.WriteString(got)
		if bare, ok := strings.CutSuffix(got, "\r\n"); ok && !strings.ContainsAny(bare, "\r\x00") {
			return bare
		}
		if err == nil {
			err = fmt.Errorf("line %q: %w", got, e)
		}
		return ""
	}
	take := func(n int64) string {
		buf := make([]byte, min(n, 1<<20))
		got, e := io.ReadFull(in, buf)
		all.Write(buf[:got])
		if err == nil {
			err = e
		}
		return string(buf[:got])
	}
	start := strings.Split(line(), " ")
	if err != nil || len(start) != 3 || start[2] != "HTTP/1.1" {
		return m, all.String(), fmt.Errorf("start %q: %w", start, err)
	}
	m = message{method: start[0], target: start[1], header: http.Header{}}
	for text := line(); text != ""; text = line() {
		name, value, ok := strings.Cut(text, ": ")
		if !ok || strings.Trim(value, " \t") != value {
			return m, all.String(), fmt.Errorf("field %q", text)
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		m.header[name] = append(m.header[name], value)
	}
	if err != nil {
		return m, all.String(), err
	}
	if len(m.header["Host"]) == 1 {
		m.host = m.header["Host"][0]
	}
	begun(m.header)
	length, chunked := m.header["Content-Length"], m.header["Transfer-Encoding"]
	switch {
	case length != nil && chunked != nil || len(length) > 1 || len(chunked) > 1:
		return m, all.String(), fmt.Errorf("two framings: %v", m.header)
	case length != nil:
		n, e := strconv.ParseUint(length[0], 10, 20)
		if e != nil || strconv.FormatUint(n, 10) != length[0] {
			return m, all.String(), fmt.Errorf("length %q", length)
		}
		m.body = take(int64(n))
	case chunked != nil && chunked[0] != "chunked":
		return m, all.String(), fmt.Errorf("coding %q", chunked)
	case chunked != nil:
		for err == nil {
			text := line()
			n, e := strconv.ParseUint(text, 16, 20)
			if err == nil && (e != nil || strconv.FormatUint(n, 16) != text) {
				err = fmt.Errorf("chunk size %q", text)
			}
			if err != nil || n == 0 {
				break
			}
			m.body += take(int64(n))
			if end := take(2); err == nil && end != "\r\n" {
				err = fmt.Errorf("a chunk ends in %q", end)
			}
		}
		for err == nil && line() != "" { // a trailer
		}
	}
	return m, all.String(), err
}

// readMessage reads the next request as net/http does.
func readMessage(in *bufio.Reader) (m message, err error) {
	r, err := http.ReadRequest(in)
	if err != nil {
		return m, err
	}
	body, err := io.ReadAll(r.Body)
	target := r.RequestURI
	if r.URL.Host != "" && r.Method != http.MethodConnect {
		target = r.URL.RequestURI()
	}
	return message{r.Method, target, r.Host, r.Header, string(body)}, err
}

// reader is an upstream that reads as plainMessage does and remembers what was whole.
type reader struct {
	mu   sync.Mutex
	seen []message
	bad  []string // what was read in two ways
}

func (u *reader) serve(c net.Conn) {
	defer c.Close()
	for in := bufio.NewReader(c); ; {
		m, text, err := plainMessage(in, func(h http.Header) {
			if h["Expect"] != nil {
				io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
			}
		})
		var broken *net.OpError
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &broken) {
			return // it was given up
		}
		other, err2 := readMessage(bufio.NewReader(strings.NewReader(text)))
		u.mu.Lock()
		switch {
		case err != nil:
			u.bad = append(u.bad, fmt.Sprintf("%q: %v", text, err))
		case err2 != nil || m.method != other.method || m.target != other.target || m.host != other.host || m.body != other.body:
			u.bad = append(u.bad, fmt.Sprintf("%q: net/http: %+v, %v", text, other, err2))
		}
		u.seen = append(u.seen, m)
		u.mu.Unlock()
		if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err != nil {
			return
		}
	}
}

// take returns what was seen since the last time.
func (u *reader) take() (seen []message, bad []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	seen, bad = u.seen, u.bad
	u.seen, u.bad = nil, nil
	return seen, bad
}

// ours are fields that a request leaves with whatever the client said.
var ours = map[string]bool{"Host": true, "Content-Length": true, "Transfer-Encoding": true, "Trailer": true, "Connection": true, "Accept-Encoding": true}

// came reports whether m is a request that the client sent.
func came(m message, sent []message) bool {
	for _, s := range sent {
		same := m.method == s.method && m.target == s.target && m.body == s.body
		for name, values := range m.header {
			same = same && (ours[name] || fmt.Sprint(values) == fmt.Sprint(s.header[name]))
		}
		if same {
			return true
		}
	}
	return false
}

// Whatever a client sends: what leaves is read by net/http as by the simplest of
// servers, and is a request that net/http reads in what was sent. The control is that
// requests do leave.
func FuzzForward(f *testing.F) {
	const host = "Host: api.example.com\r\n"
	last := "GET /last HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n"
	for _, seed := range []string{
		"POST /x HTTP/1.1\r\n" + host + "Content-Length: 3\r\nX: y\r\n\r\nabc",
		"PUT /x HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2;e=v\r\nab\r\n1\r\nc\r\n0\r\nX: y\r\n\r\n",
		"POST http://api.example.com/x HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na",
		"GET http://api.example.com?x HTTP/1.1\r\n" + host + "Connection: x-y, keep-alive\r\nX-Y: z\r\n\r\n",
		"DELETE /x HTTP/1.1\r\n" + host + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
		"HEAD /x HTTP/1.1\r\n" + host + "Upgrade: h2c\r\nConnection: upgrade\r\nTE: trailers, chunked\r\n\r\n",
		"POST /x HTTP/1.1\r\n" + host + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST /x HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n4\nabcd\r\n0\r\n\r\n",
		"GET /x HTTP/1.1\r\n" + host + "X: \x80\r\n\tb\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\n" + host + "\r\n",
	} {
		f.Add([]byte(seed + last))
	}
	w := newWorld(f, `{"routes": [{"host": "api.example.com"}]}`, func(_ *world, c *proxy.Config) { c.Audit = audit.Discard })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { l.Close() })
	up := &reader{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go up.serve(c)
		}
	}()
	w.at(80, l.Addr().String())
	dst := net.TCPAddrFromAddrPort(netip.AddrPortFrom(w.synthetic("api.example.com"), 80))
	send := func(t testing.TB, text []byte) {
		client, server, err := tcpPair()
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		client.SetDeadline(time.Now().Add(10 * time.Second))
		w.listener.conns <- &redirected{server, dst}
		client.Write(text) // what the server does not want shows in its answer
		client.CloseWrite()
		io.Copy(io.Discard, client)
	}
	send(f, []byte(last))
	if seen, bad := up.take(); len(seen) != 1 || seen[0].target != "/last" || len(bad) > 0 {
		f.Fatalf("%+v %q", seen, bad)
	}
	var before []message // what is given up may leave while the next is sent
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Contains(text, []byte("CONNECT")) {
			t.Skip("what follows is of a connection within")
		}
		var sent []message
		for in := bufio.NewReader(bytes.NewReader(text)); ; {
			if empty, _ := in.Peek(2); string(empty) == "\r\n" { // RFC 9112 section 2.2 has a server ignore it
				in.Discard(2)
			}
			m, err := readMessage(in)
			var target *url.Error
			if errors.As(err, &target) || err != nil && strings.Contains(err.Error(), "URI") {
				t.Skip("net/http reads no further: it took the target apart")
			}
			if err != nil {
				break
			}
			sent = append(sent, m)
		}
		send(t, text)
		seen, bad := up.take()
		for _, b := range bad {
			t.Errorf("read in two ways: %s", b)
		}
		for _, m := range seen {
			if m.host != "api.example.com" || !came(m, append(before, sent...)) {
				t.Errorf("sent %q\nleft %+v", text, m)
			}
		}
		before = append(before, sent...)
		before = before[max(0, len(before)-100):]
	})
}
