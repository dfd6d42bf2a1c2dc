package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// connections is how many requests are under way at a time: on as many connections,
// or with HTTP/2 on one.
const connections = 16

// client is what is measured with: it sends requests of one kind for a while.
type client struct {
	kind    string
	address string // where it connects
	host    string // as it is sent
	tls     *tls.Config
	until   time.Time
	done    atomic.Int64 // answers
}

// load prints how many requests were answered, and in how many nanoseconds.
func load(args []string) int {
	f := flag.NewFlagSet("load", flag.ExitOnError)
	length := f.Duration("for", time.Second, "")
	dial := f.String("dial", "", "")
	roots := f.String("roots", "", "")
	_ = f.Parse(args)
	c := &client{kind: f.Arg(0), host: f.Arg(1), address: *dial, tls: &tls.Config{ServerName: upstreamName}}
	if c.address == "" {
		c.address = c.host
	}
	if *roots != "" {
		pem, err := os.ReadFile(*roots)
		if c.tls.RootCAs = x509.NewCertPool(); err != nil || !c.tls.RootCAs.AppendCertsFromPEM(pem) {
			fmt.Fprintln(os.Stderr, "load: no authority in", *roots, err)
			return 1
		}
	}
	run := map[string]func() error{"get": c.http1, "post": c.http1, "download": c.http1, "h2": c.http2, "new": c.fresh}[c.kind]
	parallel := connections
	if c.kind == "h2" {
		parallel = 1
	}
	start := time.Now()
	c.until = start.Add(*length)
	errs := make(chan error, parallel)
	var group sync.WaitGroup
	for range parallel {
		group.Go(func() { errs <- run() })
	}
	group.Wait()
	took := time.Since(start)
	for range parallel {
		if err := <-errs; err != nil {
			fmt.Fprintln(os.Stderr, "load:", err)
			return 1
		}
	}
	fmt.Println(c.done.Load(), took.Nanoseconds())
	return 0
}

// request is what http1 and fresh send.
func (c *client) request() []byte {
	const fields = " HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench/1\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n"
	switch c.kind {
	case "post":
		body := `{"model":"bench-1","messages":[{"role":"user","content":"` + strings.Repeat("one plain word after another, ", 32) + `"}]}`
		body += strings.Repeat(" ", small-len(body))
		return fmt.Appendf(nil, "POST /v1/messages"+fields+"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", c.host, len(body), body)
	case "download":
		return fmt.Appendf(nil, "GET "+bigPath+fields+"\r\n", c.host)
	}
	return fmt.Appendf(nil, "GET /some/path?query=1"+fields+"\r\n", c.host)
}

func (c *client) dial(protocol string) (*tls.Conn, error) {
	config := c.tls.Clone()
	config.NextProtos = []string{protocol}
	return tls.Dial("tcp", c.address, config)
}

// http1 asks over one connection, one request after the other.
func (c *client) http1() error {
	conn, err := c.dial("http/1.1")
	if err != nil {
		return err
	}
	defer conn.Close()
	in, request := bufio.NewReaderSize(conn, 32<<10), c.request()
	for time.Now().Before(c.until) {
		if err := c.ask(conn, in, request); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) ask(conn net.Conn, in *bufio.Reader, request []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	status, err := in.ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(status, "HTTP/1.1 200 ") {
		return fmt.Errorf("answered %q", status)
	}
	length, err := restOfHead(in)
	if err != nil {
		return err
	}
	if _, err := in.Discard(length); err != nil {
		return err
	}
	if want := map[bool]int{false: small, true: big}[c.kind == "download"]; length != want {
		return fmt.Errorf("%d bytes instead of %d", length, want)
	}
	c.done.Add(1)
	return nil
}

// fresh asks over a connection of its own each time, with a full handshake.
func (c *client) fresh() error {
	request := c.request()
	for time.Now().Before(c.until) {
		conn, err := c.dial("http/1.1")
		if err != nil {
			return err
		}
		err = c.ask(conn, bufio.NewReader(conn), request)
		conn.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// http2 keeps that many requests under way on one connection.
func (c *client) http2() error {
	conn, err := c.dial(http2.NextProtoTLS)
	if err != nil {
		return err
	}
	defer conn.Close()
	s := &session{client: c, in: bufio.NewReaderSize(conn, 64<<10), out: bufio.NewWriterSize(conn, 64<<10)}
	return s.run(http2.NewFramer(s.out, s.in))
}
