package h1_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"bottled/proxy/h1"
)

// serve starts a Server with handler and returns it, and a function that connects. header
// is how long a head may take, 5 s where nothing is said.
func serve(t *testing.T, handler http.HandlerFunc, header ...time.Duration) (*h1.Server, func() net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &h1.Server{
		Handler: handler, HeaderBytes: 8 << 10, HeaderTimeout: append(header, 5*time.Second)[0], IdleTimeout: 5 * time.Second,
		Refuse: func(w http.ResponseWriter, _ context.Context, why *h1.Malformed) { w.WriteHeader(why.Status) },
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.Serve(context.Background(), c)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return s, func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		t.Cleanup(func() { c.Close() })
		return c
	}
}

// echo answers with what it read.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	text := fmt.Sprintf("%s %s %s %q", r.Method, r.RequestURI, r.Host, body)
	if err != nil {
		text = "broken body"
	}
	if len(r.Trailer) > 0 {
		text += fmt.Sprint(r.Trailer)
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(text)))
	io.WriteString(w, text)
}

// exchange sends bytes, ends sending, and returns all that comes back.
func exchange(t *testing.T, c net.Conn, send string) string {
	t.Helper()
	io.WriteString(c, send)
	got, err := io.ReadAll(c)
	if err != nil {
		t.Error(err)
	}
	return string(got)
}

func TestServer(t *testing.T) {
	_, connect := serve(t, echo)
	const host, end = "Host: a.example\r\n", "Connection: close\r\n\r\n"
	for name, row := range map[string]struct{ send, status, body string }{
		"GET":              {"GET /x?y HTTP/1.1\r\n" + host + end, "200", `GET /x?y a.example ""`},
		"length":           {"POST / HTTP/1.1\r\nContent-Length: 3\r\n" + host + end + "abc", "200", `POST / a.example "abc"`},
		"chunks":           {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + host + end + "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", "200", `POST / a.example "abc"`},
		"trailer":          {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n" + host + end + "0\r\nX: y\r\n\r\n", "200", `POST / a.example ""map[X:[y]]`},
		"empty line first": {"\r\nGET / HTTP/1.1\r\n" + host + end, "200", `GET / a.example ""`},
		"HTTP/1.0":         {"GET / HTTP/1.0\r\n\r\n", "200", `GET /  ""`},
		"length cut short": {"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nab", "200", "broken body"},
		"chunk cut short":  {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + host + end + "9\r\nab", "200", "broken body"},
		"bad trailer":      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + host + end + "0\r\nX : y\r\n\r\n", "200", "broken body"},
		"CONNECT":          {"CONNECT a.example:443 HTTP/1.1\r\n" + end, "200", `CONNECT a.example:443  ""`},
		"two words":        {"GET /x\r\n\r\n", "400", ""},
		"four words":       {"GET /x y HTTP/1.1\r\n" + host + end, "400", ""},
		"control in it":    {"GET /\x01 HTTP/1.1\r\n" + host + end, "400", ""},
		"HTTP/1.2":         {"GET / HTTP/1.2\r\n" + host + end, "505", ""},
		"no host":          {"GET / HTTP/1.1\r\n" + end, "400", ""},
		"two hosts":        {"GET / HTTP/1.1\r\n" + host + host + end, "400", ""},
		"LF":               {"GET / HTTP/1.1\n" + host + end, "400", ""},
		"LF at the end":    {"GET / HTTP/1.1\r\n" + host + "\nGET / HTTP/1.1\r\n" + host + end, "400", ""},
		"LF after a chunk": {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + host + end + "0\r\n\n", "200", "broken body"},
		"1000 fields":      {"GET / HTTP/1.1\r\n" + host + strings.Repeat("a:\r\n", 998) + end, "200", `GET / a.example ""`},
		"1001 fields":      {"GET / HTTP/1.1\r\n" + host + strings.Repeat("a:\r\n", 999) + end, "431", ""},
		"fold":             {"GET / HTTP/1.1\r\nX: a\r\n b\r\n" + host + end, "400", ""},
		"no colon":         {"GET / HTTP/1.1\r\nX\r\n" + host + end, "400", ""},
		"NUL":              {"GET / HTTP/1.1\r\nX: \x00\r\n" + host + end, "400", ""},
		"CR":               {"GET / HTTP/1.1\r\nX: a\rb\r\n" + host + end, "400", ""},
		"gzip, chunked":    {"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n" + host + end, "501", ""},
		"length twice":     {"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n" + host + end, "400", ""},
		"length and chunk": {"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n" + host + end, "400", ""},
		"chunks in 1.0":    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "400", ""},
		"length 2^63":      {"POST / HTTP/1.1\r\nContent-Length: 9223372036854775808\r\n" + host + end, "400", ""},
		"expectation":      {"POST / HTTP/1.1\r\nExpect: more\r\n" + host + end, "417", ""},
		"trailer framing":  {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Length\r\n" + host + end, "400", ""},
		"large":            {"GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 9<<10) + "\r\n" + host + end, "431", ""},
	} {
		c := connect()
		io.WriteString(c, row.send)
		c.(*net.TCPConn).CloseWrite()
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || string(body) != row.body || !strings.HasPrefix(resp.Status, row.status) {
			t.Errorf("%s: %s %q %v", name, resp.Status, body, err)
		}
	}
}

// A connection goes on after a request whose body nobody wanted, and after several at once.
func TestServerKeepsTheConnection(t *testing.T) {
	_, connect := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			echo(w, r)
		}
	})
	get := "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
	post := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n" + strings.Repeat("x", 70000)
	got := exchange(t, connect(), get+post+get+"GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if strings.Count(got, "200 OK") != 4 || !strings.HasSuffix(got, `GET /2 a ""`) {
		t.Errorf("%q", got)
	}
	got = exchange(t, connect(), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 700000\r\n\r\n"+strings.Repeat("x", 300<<10))
	if !strings.Contains(got, "200 OK") {
		t.Errorf("%q", got)
	}
}

// How a response is framed.
func TestServerFraming(t *testing.T) {
	_, connect := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		switch r.RequestURI {
		case "/empty":
			w.WriteHeader(201)
		case "/none":
			w.Header().Set("Content-Length", "5")
			w.WriteHeader(204)
		case "/chunks":
			w.Header().Set("Trailer", "X")
			io.WriteString(w, "abc")
			w.(http.Flusher).Flush()
			w.Header().Set("X", "y")
			w.Header().Set(http.TrailerPrefix+"Z", "1")
		case "/short":
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "abc")
		case "/long":
			w.Header().Set("Content-Length", "1")
			if _, err := io.WriteString(w, "abc"); err == nil {
				t.Error("more than was said")
			}
			io.WriteString(w, "a")
		case "/split":
			w.Header().Set("X", "a\r\nY: b")
			w.Header()["Bad name"] = []string{"x"}
		case "/interim":
			w.Header().Set("Link", "1")
			w.Header().Set("Content-Length", "5")
			w.WriteHeader(103)
			clear(w.Header())
		case "/panic":
			io.WriteString(w, "abc")
			panic(http.ErrAbortHandler)
		}
	})
	ask := func(request string) string { return exchange(t, connect(), request) }
	for target, want := range map[string]string{
		"/empty": "HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		"/none":  "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
		"/short": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nabc", // and no proper end, where there is TLS
		"/long":  "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\na",
		"/split": "HTTP/1.1 200 OK\r\nX: a  Y: b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		"/panic": "",
	} {
		if got := ask("GET " + target + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); got != want {
			t.Errorf("%s: %q", target, got)
		}
	}
	hinted := ask("GET /interim HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(hinted, "HTTP/1.1 103 Early Hints\r\nLink: 1\r\n\r\nHTTP/1.1 200 OK\r\n") || strings.Count(hinted, "Link") != 1 {
		t.Errorf("%q", hinted)
	}
	got := ask("GET /chunks HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if !strings.HasSuffix(got, "\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\nZ: 1\r\n\r\n") && !strings.HasSuffix(got, "\r\n\r\n3\r\nabc\r\n0\r\nZ: 1\r\nX: y\r\n\r\n") {
		t.Errorf("%q", got)
	}
	if got := ask("GET /chunks HTTP/1.0\r\n\r\n"); !strings.HasSuffix(got, "\r\n\r\nabc") || !strings.Contains(got, "Connection: close") {
		t.Errorf("%q", got)
	}
	if got := ask("GET /empty HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /empty HTTP/1.0\r\n\r\n"); strings.Count(got, "HTTP/1.0 201") != 2 {
		t.Errorf("%q", got)
	}
}

// A request whose client goes is told; one that goes on is not disturbed, and the byte
// that was read while watching is part of the next request.
func TestServerWatchesTheClient(t *testing.T) {
	gone, slow := make(chan error, 1), make(chan bool)
	_, connect := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.RequestURI == "/gone" {
			select {
			case <-r.Context().Done():
			case <-time.After(5 * time.Second):
			}
			gone <- r.Context().Err()
			return
		}
		if r.RequestURI == "/slow" {
			<-slow
		}
		echo(w, r)
	})
	c := connect()
	io.WriteString(c, "GET /gone HTTP/1.1\r\nHost: a\r\n\r\n")
	c.Close()
	if err := <-gone; err == nil {
		t.Error("nobody noticed that the client went")
	}
	c = connect()
	io.WriteString(c, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	time.Sleep(200 * time.Millisecond)
	io.WriteString(c, "GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	time.Sleep(50 * time.Millisecond)
	close(slow)
	got, err := io.ReadAll(c)
	if err != nil || !strings.HasSuffix(string(got), `GET /next a ""`) || strings.Count(string(got), "200 OK") != 2 {
		t.Errorf("%q, %v", got, err)
	}
}

// Requests that were pipelined and are slow each have their client watched: no byte that
// a watch reads gets lost.
func TestServerWatchesPipelines(t *testing.T) {
	slow := make(chan bool)
	_, connect := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.RequestURI == "/slow" {
			<-slow
		}
		echo(w, r)
	})
	c := connect()
	io.WriteString(c, strings.Repeat("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n", 3))
	time.Sleep(200 * time.Millisecond)
	io.WriteString(c, "PUT /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	for range 3 {
		time.Sleep(200 * time.Millisecond)
		slow <- true
	}
	got, err := io.ReadAll(c)
	if err != nil || !strings.HasSuffix(string(got), `PUT /next a ""`) || strings.Count(string(got), "200 OK") != 4 {
		t.Errorf("%q, %v", got, err)
	}
}

// A connection that waits holds next to nothing, whatever its last request was like.
func TestServerIdleMemory(t *testing.T) {
	const conns, large = 64, 200 << 10
	s := &h1.Server{Handler: http.HandlerFunc(echo), HeaderBytes: 256 << 10, HeaderTimeout: time.Minute, IdleTimeout: time.Minute}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what pools hold goes with the second
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for range conns {
		client, server := net.Pipe()
		defer client.Close()
		go s.Serve(t.Context(), server)
		fmt.Fprintf(client, "GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n", strings.Repeat("x", large))
		if resp, err := http.ReadResponse(bufio.NewReader(client), nil); err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
	}
	if each := int64(heap()-before) / conns; each > large/4 {
		t.Errorf("%d bytes each", each)
	}
}

func TestServerTimeouts(t *testing.T) {
	_, connect := serve(t, echo, 200*time.Millisecond)
	for _, send := range []string{"", "GET / HTTP/1.1\r\nHost: a\r\n"} {
		if got := exchange(t, connect(), send); got != "" {
			t.Errorf("%q: %q", send, got)
		}
	}
}

// The client is asked for the body when somebody wants it, and not asked after an answer.
// A Handler can say how long it waits for a body, and the connection ends then.
func TestServerReadDeadline(t *testing.T) {
	_, connect := serve(t, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if err := control.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadAll(r.Body); errors.Is(err, os.ErrDeadlineExceeded) {
			w.WriteHeader(http.StatusRequestTimeout)
		}
		if err := control.SetReadDeadline(time.Time{}); err != nil {
			t.Error(err)
		}
	})
	for _, send := range []string{"Content-Length: 5\r\n\r\nhel", "Transfer-Encoding: chunked\r\n\r\n5\r\nhel"} {
		if got := exchange(t, connect(), "POST / HTTP/1.1\r\nHost: a\r\n"+send); !strings.HasPrefix(got, "HTTP/1.1 408 ") {
			t.Errorf("%q: %q", send, got)
		}
	}
	whole := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
	if got := exchange(t, connect(), whole+strings.Replace(whole, "Host", "Connection: close\r\nHost", 1)); strings.Count(got, "HTTP/1.1 200 ") != 2 {
		t.Errorf("%q", got)
	}
}

func TestServerContinue(t *testing.T) {
	_, connect := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.RequestURI == "/want" {
			echo(w, r)
		}
	})
	const rest = " HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
	c := connect()
	io.WriteString(c, "PUT /want"+rest)
	in := bufio.NewReader(c)
	if line, _ := in.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q", line)
	}
	in.ReadString('\n')
	io.WriteString(c, "abc")
	if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != 200 || resp.Close {
		t.Fatal(resp, err)
	}
	c = connect()
	io.WriteString(c, "PUT /no"+rest)
	if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 200 || !resp.Close {
		t.Fatal(resp, err)
	}
}

// Shutdown ends what is idle at once, and what is under way after its request.
func TestServerShutdown(t *testing.T) {
	begun, end := make(chan bool), make(chan bool)
	s, connect := serve(t, func(w http.ResponseWriter, r *http.Request) {
		begun <- true
		<-end
		echo(w, r)
	})
	idle, busy := connect(), connect()
	io.WriteString(busy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); err == nil {
		t.Error("ended with a request under way")
	}
	if n, err := idle.Read(make([]byte, 1)); err != io.EOF {
		t.Error("idle:", n, err)
	}
	close(end)
	if got, err := io.ReadAll(busy); err != nil || !strings.HasSuffix(string(got), `GET / a ""`) {
		t.Errorf("%q, %v", got, err)
	}
}
