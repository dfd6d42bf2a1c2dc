package proxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"bottled/audit"
)

// Bytes pass as they come, not when a buffer is full.
func TestFlush(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		for _, kind := range []string{"text/event-stream", "application/octet-stream"} {
			for _, table := range []string{bareAPI, injecting} {
				w := newWorld(t, table)
				next := make(chan string)
				w.upstream(func(rw http.ResponseWriter, r *http.Request) {
					rw.Header().Set("Content-Type", kind)
					for part := range next {
						flushed(rw, part)
					}
				}, "api.example.com")
				go func() { next <- "one" }()
				resp, err := w.client(h2).Get("https://api.example.com/")
				if err != nil {
					t.Fatal(err)
				}
				buf := make([]byte, 100)
				for _, want := range []string{"one", "two", "three"} {
					if want != "one" {
						next <- want
					}
					if n, err := io.ReadAtLeast(resp.Body, buf, len(want)); err != nil || string(buf[:n]) != want {
						t.Fatalf("%q, %v", buf[:n], err)
					}
				}
				close(next)
				resp.Body.Close()
			}
		}
	}
}

// A response that breaks off never looks whole, also where nothing but the end of the
// connection says where it ends, as in HTTP/1.0 without TLS.
func TestBrokenResponseInTheClear(t *testing.T) {
	w := newWorld(t, bareAPI)
	read := make(chan bool)
	w.plainUpstream(func(rw http.ResponseWriter, _ *http.Request) {
		flushed(rw, "hello")
		if <-read {
			panic(http.ErrAbortHandler)
		}
	})
	for _, head := range []string{"GET / HTTP/1.0\r\nHost: api.example.com\r\n\r\n", "GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n"} {
		for _, breaks := range []bool{false, true} {
			c := w.connectName("api.example.com", 80)
			c.SetDeadline(time.Now().Add(10 * time.Second))
			io.WriteString(c, head)
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(resp.Body, make([]byte, 5)); err != nil {
				t.Error(err)
			}
			read <- breaks
			if _, err := io.ReadAll(resp.Body); (err != nil) != breaks {
				t.Errorf("%.14q, breaks %v: %v", head, breaks, err)
			}
		}
	}
}

// A trailer that is announced and does not come keeps nobody waiting.
func TestTrailerThatDoesNotCome(t *testing.T) {
	w := newWorld(t, bareAPI)
	w.upstream(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Trailer", "X-Sum")
		flushed(rw, "message")
	}, "api.example.com")
	for _, h2 := range []bool{false, true} {
		if resp, body := w.get(w.client(h2), "https://api.example.com/"); body != "message" || len(resp.Trailer["X-Sum"]) > 0 {
			t.Errorf("h2 %v: %q %v", h2, body, resp.Trailer)
		}
	}
}

// Trailers, as gRPC uses them, and interim responses pass.
func TestTrailersAndInterim(t *testing.T) {
	w := newWorld(t, bareAPI)
	w.upstream(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Link", "</style.css>; rel=preload")
		rw.WriteHeader(http.StatusEarlyHints)
		rw.Header().Del("Link")
		io.Copy(io.Discard, r.Body)
		rw.Header().Set("X-Te", r.Header.Get("Te"))
		rw.Header().Set("X-Sum", r.Trailer.Get("X-Sum"))
		rw.Header().Set("Trailer", "Grpc-Status, Connection")
		io.WriteString(rw, "message")
		rw.Header().Set("Grpc-Status", "0")
		rw.Header().Set(http.TrailerPrefix+"Grpc-Message", "fine")
	}, "api.example.com")
	for _, h2 := range []bool{false, true} {
		hints := make(chan string, 1)
		ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hints <- fmt.Sprint(code, h.Get("Link"))
			return nil
		}})
		req, _ := http.NewRequestWithContext(ctx, "POST", "https://api.example.com/svc/Method", io.MultiReader(strings.NewReader("body")))
		req.Header.Set("Te", "trailers")
		req.Trailer = http.Header{"X-Sum": {"42"}}
		resp, err := w.client(h2).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(body) != "message" || resp.Trailer.Get("Grpc-Status") != "0" || resp.Trailer.Get("Grpc-Message") != "fine" {
			t.Errorf("h2 %v: %q %v %v", h2, body, resp.Trailer, err)
		}
		if _, hop := resp.Trailer["Connection"]; hop {
			t.Errorf("h2 %v: a trailer is announced that is never passed on", h2)
		}
		if resp.Header.Get("X-Te") != "trailers" || resp.Header.Get("X-Sum") != "42" {
			t.Errorf("h2 %v: %v", h2, resp.Header)
		}
		select {
		case hint := <-hints:
			if hint != "103</style.css>; rel=preload" {
				t.Errorf("hint %q", hint)
			}
		default:
			t.Error("no 103")
		}
	}
}

// Both directions of one HTTP/2 request at once.
func TestBidirectional(t *testing.T) {
	w := newWorld(t, bareAPI)
	w.upstream(func(rw http.ResponseWriter, r *http.Request) {
		rw.WriteHeader(200)
		in := bufio.NewReader(r.Body)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			flushed(rw, "echo "+line)
		}
	}, "api.example.com")
	pr, pw := io.Pipe()
	req, _ := http.NewRequest("POST", "https://api.example.com/", pr)
	go io.WriteString(pw, "one\n")
	resp, err := w.client(true).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out := bufio.NewReader(resp.Body)
	for _, word := range []string{"one", "two", "three"} {
		if word != "one" {
			io.WriteString(pw, word+"\n")
		}
		if line, err := out.ReadString('\n'); err != nil || line != "echo "+word+"\n" {
			t.Fatalf("%q, %v", line, err)
		}
	}
	pw.Close()
}

// 100-continue goes end to end: an upstream that refuses gets no body, and the
// client is not told to send it.
func TestExpectContinue(t *testing.T) {
	w := newWorld(t, bareAPI)
	for reply, want := range map[string]string{
		"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n": "HTTP/1.1 403",
		"HTTP/1.1 100 Continue\r\n\r\n":                       "HTTP/1.1 100",
	} {
		w.sink(443, reply, "api.example.com")
		w.server.Swap(w.table(bareAPI, 2))
		c := w.tls("api.example.com", 443)
		io.WriteString(c, "PUT / HTTP/1.1\r\nHost: api.example.com\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, want) {
			t.Errorf("%q: %q, %v", reply, line, err)
		}
		c.Close()
	}
}

// A response that breaks off never looks whole.
func TestBrokenResponse(t *testing.T) {
	w := newWorld(t, bareAPI)
	w.upstream(func(rw http.ResponseWriter, r *http.Request) {
		flushed(rw, "half")
		panic(http.ErrAbortHandler)
	}, "api.example.com")
	for _, h2 := range []bool{false, true} {
		resp, err := w.client(h2).Get("https://api.example.com/")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil || string(body) != "half" {
			t.Errorf("%q, %v", body, err)
		}
	}
	w.event(func(e audit.Event) bool { return e.Reason == "upstream-failed" && e.BytesDown == 4 })
}

// CONNECT and absolute form work at the enforcer's own address, by the same table.
func TestExplicitProxy(t *testing.T) {
	w := newWorld(t, bareAPI)
	w.upstream(func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "secure") }, "api.example.com")
	w.plainUpstream(func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "plain "+r.RequestURI+" "+r.Host) })
	c := w.connectName("_egress-proxy.local", 3128)
	if reply := raw(t, c, "GET http://api.example.com/p?q HTTP/1.1\r\nHost: other.example.com\r\nProxy-Connection: keep-alive\r\n\r\n"); !strings.HasSuffix(reply, "plain /p?q api.example.com") {
		t.Errorf("%q", reply)
	}
	if reply := raw(t, c, "GET http://evil.example.com/ HTTP/1.1\r\nHost: evil.example.com\r\n\r\n"); !strings.HasPrefix(reply, "HTTP/1.1 403") {
		t.Errorf("%q", reply)
	}
	inside := func(target, sni string) (string, error) {
		c := w.connectName("_egress-proxy.local", 3128)
		reply := raw(t, c, "CONNECT "+target+" HTTP/1.1\r\nHost: "+target+"\r\n\r\n")
		if !strings.HasPrefix(reply, "HTTP/1.1 200") {
			return reply, nil
		}
		c.SetDeadline(time.Now().Add(5 * time.Second))
		secure := tls.Client(c, &tls.Config{ServerName: sni, RootCAs: w.trust()})
		if err := secure.Handshake(); err != nil {
			return "", err
		}
		return ask(t, secure, sni, "/"), nil
	}
	if reply, err := inside("api.example.com:443", "api.example.com"); err != nil || !strings.HasSuffix(reply, "secure") {
		t.Errorf("%q, %v", reply, err)
	}
	if reply, err := inside("evil.example.com:443", "evil.example.com"); err != nil || !strings.HasPrefix(reply, "HTTP/1.1 403") {
		t.Errorf("%q, %v", reply, err)
	}
	if reply, err := inside("evil.example.com:443", "api.example.com"); err == nil {
		t.Errorf("CONNECT for one host and TLS for another: %q", reply)
	}
}

const opaque = `{"routes": [{"host": "db.example.com", "protocol": "tcp", "ports": [5432]}, {"host": "pinned.example.com", "protocol": "tls-passthrough", "ports": [443]}, {"host": "api.example.com"}]}`

// Opaque streams: the server may speak first, each direction ends by itself, and
// the client's own TLS reaches the upstream untouched.
func TestOpaque(t *testing.T) {
	w := newWorld(t, opaque)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w.at(5432, l.Addr().String())
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, "banner\n")
		all, _ := io.ReadAll(c) // until the client's FIN
		fmt.Fprintf(c, "got %d", len(all))
	}()
	c := w.connectName("db.example.com", 5432)
	in := bufio.NewReader(c)
	if line, err := in.ReadString('\n'); err != nil || line != "banner\n" {
		t.Fatalf("%q, %v", line, err)
	}
	c.Write(make([]byte, 1<<20))
	c.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(in); err != nil || string(rest) != "got 1048576" {
		t.Fatalf("%q, %v", rest, err)
	}
	w.event(func(e audit.Event) bool {
		return e.Protocol == "tcp" && e.Verdict == audit.Allow && e.BytesUp == 1<<20 && e.BytesDown == 18 && e.Authority == "db.example.com:5432"
	})

	s := w.sink(443, okReply, "pinned.example.com")
	secure := tls.Client(w.connectName("pinned.example.com", 443), &tls.Config{ServerName: "pinned.example.com", RootCAs: w.authority.Pool()})
	if reply := raw(t, secure, "GET / HTTP/1.1\r\nHost: anything\r\n\r\n"); !strings.HasSuffix(reply, "ok") {
		t.Errorf("%q", reply)
	}
	if !strings.Contains(s.text(), "Host: anything") {
		t.Errorf("%q", s.text())
	}
	secure.Close()
}

// A table without the route ends what is under way within a second.
func TestSwapCuts(t *testing.T) {
	w := newWorld(t, opaque)
	up := w.upstream(func(rw http.ResponseWriter, r *http.Request) {
		flushed(rw, "begun")
		<-r.Context().Done()
	}, "api.example.com")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w.at(5432, l.Addr().String())
	go func() {
		if c, err := l.Accept(); err == nil {
			io.Copy(c, c)
			c.Close()
		}
	}()
	db := w.connectName("db.example.com", 5432)
	io.WriteString(db, "ping")
	if _, err := io.ReadFull(db, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	c := w.client(false)
	resp, err := c.Get("https://api.example.com/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	io.ReadFull(resp.Body, make([]byte, 5))
	kept := w.tls("api.example.com", 443)
	defer kept.Close()

	start := time.Now()
	w.server.Swap(w.table(`{"routes": []}`, 2))
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("the response came to a proper end")
	}
	db.SetReadDeadline(time.Now().Add(2 * time.Second))
	if n, _ := io.Copy(io.Discard, db); n != 0 || time.Since(start) > time.Second {
		t.Errorf("cut after %v", time.Since(start))
	}
	if reply := ask(t, kept, "api.example.com", "/"); !strings.HasPrefix(reply, "HTTP/1.1 403") {
		t.Errorf("%q", reply)
	}
	if n := len(up.Requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
	w.event(func(e audit.Event) bool { return e.Generation == 2 && e.Verdict == audit.Deny })
	w.server.Swap(nil)
	if resp, _ := w.get(w.client(false), "https://api.example.com/"); resp.StatusCode != 403 {
		t.Errorf("no table: %v", resp.Status)
	}
}
