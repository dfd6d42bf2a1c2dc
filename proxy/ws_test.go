package proxy_test

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"bottled/attack"
)

const wsKey = "dGhlIHNhbXBsZSBub25jZQ=="

const handshake = "GET /ws HTTP/1.1\r\nHost: api.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + wsKey + "\r\n\r\n"

// webSocket is an upstream that upgrades and sends every frame back, unmasked.
func webSocket(rw http.ResponseWriter, r *http.Request) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	c, buf, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "+
		base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
	io.WriteString(c, "\x81\x05hello")
	auth := r.Header.Get("Authorization")
	io.WriteString(c, "\x81"+string(rune(len(auth)))+auth)
	io.Copy(c, buf)
}

func TestWebSocket(t *testing.T) {
	w := newWorld(t, injecting)
	w.upstream(webSocket, "api.example.com")
	c := w.tls("api.example.com", 443, "http/1.1")
	io.WriteString(c, handshake)
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("%v, %v", resp, err)
	}
	want := "\x81\x05hello\x81" + string(rune(7+len(token))) + "Bearer " + strings.Repeat("*", len(token))
	got := make([]byte, len(want))
	if _, err := io.ReadFull(in, got); err != nil || string(got) != want {
		t.Fatalf("%q, %v", got, err)
	}
	attack.Stopped(t, "W07", "WebSocket after its route is gone",
		func(*testing.T) error { _, err := c.Write([]byte("\x81\x80mask")); return err },
		func(*testing.T) error {
			start := time.Now()
			w.server.Swap(w.table(bareAPI[:len(bareAPI)-2]+`]}`, 2))
			w.server.Swap(w.table(`{"routes": []}`, 3))
			c.SetReadDeadline(time.Now().Add(2 * time.Second))
			io.Copy(io.Discard, in)
			if time.Since(start) > time.Second {
				return nil
			}
			return errors.New("closed at once")
		})
}

// No tunnel opens on a handshake that is not one, or that the upstream did not
// take part in: what follows is judged as a request.
func TestAttackFakeUpgrade(t *testing.T) {
	next := "GET /admin HTTP/1.1\r\nHost: evil.example.com\r\n\r\n"
	ok101 := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
	for _, row := range []struct{ id, name, send, reply string }{
		{"W03", "version 7", strings.Replace(handshake, ": 13", ": 7", 1), ok101},
		{"W03", "short key", strings.Replace(handshake, wsKey, "YWJj", 1), ok101},
		{"W03", "upstream answers 200", handshake, "HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nok"},
		{"W03", "upstream answers 426", handshake, "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n"},
		{"W03", "wrong Accept", handshake, strings.Replace(ok101, "s3pP", "AAAA", 1)},
		{"W03", "101 of another protocol", handshake, strings.Replace(ok101, "Upgrade: websocket", "Upgrade: h2c", 1)},
		{"W03", "101 without being asked", head + "\r\n", ok101},
		{"W01", "host not allowed", strings.Replace(handshake, "api.", "evil.", 1), ok101},
	} {
		w := newWorld(t, bareAPI)
		s := w.sink(443, row.reply, "api.example.com")
		attack.Stopped(t, row.id, row.name,
			func(t *testing.T) error { return s.direct(t, row.send+next) },
			func(t *testing.T) error {
				c := w.tls("api.example.com", 443, "http/1.1")
				defer c.Close()
				before := len(s.text())
				reply := raw(t, c, row.send+next)
				if strings.Contains(s.text()[before:], "/admin") || strings.Contains(reply, " 101 ") {
					return nil
				}
				line, _, _ := strings.Cut(reply, "\r\n")
				return errors.New(line)
			})
	}
}
