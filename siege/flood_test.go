package siege

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
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
	for _, c := range hoarded {
		c.Close()
	}
	held, hoarded = nil, nil
	return answerOf{}
}

// settles waits until a count does not grow any more, or is at least enough.
func settles(n *atomic.Int64, enough int64) int64 {
	for last := int64(-1); ; {
		now := n.Load()
		if now == last && now > 0 || now >= enough {
			return now
		}
		last = now
		time.Sleep(500 * time.Millisecond)
	}
}

// upload posts an endless body, and says how much of it was taken: all that there was room
// for, or o.N bytes.
func upload(o order) answerOf {
	var taken atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.URL, counted{zeros{}, &taken})
	if err != nil {
		return failed(err)
	}
	go func() { _, _ = newClient().Do(req) }()
	return answerOf{N: int(settles(&taken, int64(o.N)))}
}

// hoard asks for o.N endless bodies and reads nothing of them, until it is told to let go.
func hoard(o order) answerOf {
	for range o.N {
		c := newClient()
		c.Timeout = 0
		resp, err := c.Get(o.URL)
		if err != nil {
			return failed(err)
		}
		hoarded = append(hoarded, resp.Body)
		if o.Data == "read" {
			go func() { _, _ = io.Copy(io.Discard, resp.Body) }()
		}
	}
	return answerOf{}
}

var hoarded []io.Closer

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
