package proxy_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// echo sends pieces to the upstream and back, and asserts the bytes at each end.
func echo(t *testing.T, name string, client, up *end, pieces ...piece) {
	t.Helper()
	if err := carried(client, up, client.frames(pieces...)); err != nil {
		t.Fatalf("%s, to the upstream: %v", name, err)
	}
	if err := carried(up, client, up.frames(pieces...)); err != nil {
		t.Fatalf("%s, to the client: %v", name, err)
	}
}

// noise is n bytes that hold no pattern: text of ASCII, or binary.
func noise(n int, text bool) []byte {
	out := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(out)
	if text {
		for at := 0; at < n; at += copy(out[at:], "The quick brown fox jumps over ghp_ 13 lazy dogs. ") {
		}
	}
	return out
}

// A message of any size arrives as it was framed, both ways. The largest go through
// the Server that does least with them, and one of them through that which does most:
// under the race detector it takes seconds.
func TestWebSocketSizes(t *testing.T) {
	var messages []piece
	for _, size := range []int{0, 1, 125, 126, 127, 65535, 65536, 1 << 20, 16 << 20} {
		messages = append(messages, piece{0x81, noise(size, true)}, piece{0x82, noise(size, false)})
	}
	for _, l := range legs(t) {
		client, up := l.open(t)
		var total int64
		for _, m := range messages {
			most := l.injecting && l.scanner != nil && m.first == 0x82
			if len(m.payload) > 1<<20 && l.name != "bare" && !most {
				continue
			}
			total += int64(len(m.payload))
			echo(t, fmt.Sprintf("%s, %d bytes of %#x", l.name, len(m.payload), m.first), client, up, m)
		}
		if l.scanner != nil && l.scanner.seen.Load() != total {
			t.Errorf("%s: the scanner saw %d bytes of %d", l.name, l.scanner.seen.Load(), total)
		}
	}
}

// Fragments arrive as they were cut, empty ones too, with pings where they were.
func TestWebSocketFragments(t *testing.T) {
	for _, l := range legs(t) {
		client, up := l.open(t)
		for _, pieces := range []int{1, 2, 7, 1000} {
			for _, op := range []byte{1, 2} {
				for _, pings := range []bool{false, true} {
					name := fmt.Sprintf("%s, %d pieces of opcode %d, pings %v", l.name, pieces, op, pings)
					echo(t, name, client, up, fragments(op, noise(997, op == 1), pieces, pings)...)
				}
			}
		}
		echo(t, l.name+", only empty fragments", client, up, piece{1, nil}, piece{0, nil}, piece{0x80, nil})
	}
}

// fragments cuts a message; the first of many fragments is empty, and so are some
// of a thousand.
func fragments(op byte, message []byte, n int, pings bool) []piece {
	var out []piece
	at := 0
	for i := range n {
		p := piece{first: 0}
		if i > 0 || n == 1 {
			next := len(message) * (i + 1) / n
			p.payload, at = message[at:next], next
		}
		if i == 0 {
			p.first = op
		}
		if i == n-1 {
			p.first |= 0x80
		}
		out = append(out, p)
		if pings && i < n-1 {
			out = append(out, piece{0x89, []byte("between")})
		}
	}
	return out
}

func TestWebSocketControl(t *testing.T) {
	for _, l := range legs(t) {
		client, up := l.open(t)
		for _, n := range []int{0, 125} {
			for _, way := range [][2]*end{{client, up}, {up, client}} {
				ping, pong := piece{0x89, noise(n, false)}, piece{0x8a, noise(n, false)}
				if err := carried(way[0], way[1], way[0].frames(ping)); err != nil {
					t.Fatalf("%s, ping of %d: %v", l.name, n, err)
				}
				if err := carried(way[1], way[0], way[1].frames(pong)); err != nil {
					t.Fatalf("%s, pong of %d: %v", l.name, n, err)
				}
				if err := carried(way[0], way[1], way[0].frames(pong)); err != nil {
					t.Fatalf("%s, pong that nobody asked for: %v", l.name, err)
				}
			}
		}
		// RFC 6455 section 8.1 has the endpoints check this; a relay would have to
		// hold messages back.
		echo(t, l.name+", text that is not UTF-8", client, up, piece{0x81, []byte("\xff\xfe\xc0")})
	}
}

// closing is the payload of a close frame.
func closing(code uint16, reason string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, code), reason...)
}

// The closing handshake is the endpoints' own: each sees the code and the reason that
// the other gave, and then the end of the connection.
func TestWebSocketClose(t *testing.T) {
	payloads := [][]byte{nil, closing(1000, strings.Repeat("r", 123))} // without a status, and the longest
	for _, code := range []uint16{1000, 1001, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 4999} {
		payloads = append(payloads, closing(code, ""), closing(code, "grüße"))
	}
	for _, l := range legs(t) {
		for _, payload := range payloads {
			for _, server := range []bool{false, true} {
				client, up := l.open(t)
				first, second := client, up
				if server {
					first, second = up, client
				}
				name := fmt.Sprintf("%s, close %q, by the server %v", l.name, payload, server)
				if err := carried(first, second, first.frames(piece{0x88, payload})); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if err := carried(second, first, second.frames(piece{0x88, payload})); err != nil {
					t.Fatalf("%s, the answer: %v", name, err)
				}
				up.Close() // section 7.1.1: the server closes first
				if rest, err := io.ReadAll(client.in); len(rest) > 0 || err != nil {
					t.Fatalf("%s: after the closing handshake: %q, %v", name, rest, err)
				}
				client.Close()
			}
		}
	}
}

// A connection that breaks, with a message half sent, breaks on the other side.
func TestWebSocketAbort(t *testing.T) {
	for _, l := range legs(t) {
		for _, server := range []bool{false, true} {
			for _, reset := range []bool{false, true} {
				client, up := l.open(t)
				first, second := client, up
				if server {
					first, second = up, client
				}
				if err := carried(first, second, first.frames(piece{0x01, []byte("half")})); err != nil {
					t.Fatalf("%s: %v", l.name, err)
				}
				start := time.Now()
				first.abort(reset)
				rest, _ := io.ReadAll(second.in)
				if took := time.Since(start); took > time.Second || len(rest) > 0 {
					t.Errorf("%s, server %v, reset %v: %q, seen after %v", l.name, server, reset, rest, took)
				}
			}
		}
	}
}

// Both ends a library's: what it takes for an echo of 1 KiB to come back, beside a
// connection without a Server.
func TestWebSocketRoundTrips(t *testing.T) {
	const span = 250 * time.Millisecond
	for _, l := range legs(t) {
		address := l.world.upstream(func(rw http.ResponseWriter, r *http.Request) {
			c, err := websocket.Accept(rw, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.CloseNow()
			for {
				kind, data, err := c.Read(r.Context())
				if err != nil || c.Write(r.Context(), kind, data) != nil {
					return
				}
			}
		}, "api.example.com").Addr.String()
		url, h := "wss://api.example.com/ws", l.world.client(false)
		if l.straight {
			url, h = "wss://"+address+"/ws", l.world.direct()
		}
		c, _, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPClient: h})
		if err != nil {
			t.Fatal(err)
		}
		message, trips, start := noise(1<<10, false), 0, time.Now()
		for ; time.Since(start) < span; trips++ {
			if err := c.Write(t.Context(), websocket.MessageBinary, message); err != nil {
				t.Fatal(err)
			}
			if _, got, err := c.Read(t.Context()); err != nil || !bytes.Equal(got, message) {
				t.Fatalf("%s: %d bytes, %v", l.name, len(got), err)
			}
		}
		t.Logf("figure: WebSocket echoes of 1 KiB, %s: %.0f round trips per second", l.name, float64(trips)/time.Since(start).Seconds())
		if err := c.Close(websocket.StatusNormalClosure, "done"); err != nil {
			t.Errorf("%s: %v", l.name, err)
		}
	}
}
