package siege

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// held are connections that an agent opened and does not finish.
var held []net.Conn

// slow opens o.N connections to o.Addr, writes o.Data to each and leaves them so. It
// says how many were taken.
func slow(o order) answerOf {
	var last error
	for range o.N {
		conn, err := dialer().Dial("tcp", o.Addr)
		if err == nil {
			_, err = io.WriteString(conn, o.Data)
			held = append(held, conn)
		}
		if err != nil {
			last = err
		}
	}
	a := outcome(last)
	a.N = len(held)
	return a
}

// release closes them.
func release(order) answerOf {
	for _, c := range held {
		c.Close()
	}
	held = nil
	return answerOf{}
}

// upload posts a body of o.N bytes.
func upload(o order) answerOf {
	resp, err := newClient().Post(o.URL, "application/octet-stream", io.LimitReader(zeros{}, int64(o.N)))
	if err != nil {
		return failed(err)
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	a := outcome(err)
	a.Status = resp.StatusCode
	return a
}

// download reads o.N bytes of each of eight bodies at once, and drops the rest.
func download(o order) answerOf {
	var all sync.WaitGroup
	var read atomic.Int64
	errs := make(chan error, 8)
	for range cap(errs) {
		all.Go(func() {
			c := newClient()
			c.Timeout = time.Minute
			resp, err := c.Get(o.URL)
			if err != nil {
				errs <- err
				return
			}
			defer resp.Body.Close()
			n, err := io.CopyN(io.Discard, resp.Body, int64(o.N))
			read.Add(n)
			if err != nil {
				errs <- err
			}
		})
	}
	all.Wait()
	close(errs)
	var joined []error
	for err := range errs {
		joined = append(joined, err)
	}
	a := outcome(errors.Join(joined...))
	a.N = int(read.Load())
	return a
}

// openings are what programs begin with, and what a parser dislikes; the rest is chance.
var openings = []string{
	"", "\x16\x03\x01", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: " + allowedHost + "\r\n", "GET http://" + allowedHost + "/ HTTP/1.1\r\n", "CONNECT " + allowedHost + ":443 HTTP/1.1\r\nHost: x\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: " + allowedHost + "\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", "\x05\x01\x00", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
	"\r\n\x0d\x0a\x00\x0d\x0aQUIT\n", "GET /_ws HTTP/1.1\r\nHost: " + allowedHost + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
}

// garbage sends o.N openings with chance behind them.
func garbage(o order) answerOf {
	for i := range o.N {
		conn, err := dialer().Dial("tcp", o.Addr)
		if err != nil {
			return failed(fmt.Errorf("connection %d: %w", i, err))
		}
		noise := make([]byte, 512)
		rand.Read(noise)
		_, _ = io.WriteString(conn, openings[i%len(openings)]+string(noise))
		_ = conn.(*net.TCPConn).CloseWrite()
		conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		_, _ = io.Copy(io.Discard, conn)
		conn.Close()
	}
	return answerOf{N: o.N}
}
