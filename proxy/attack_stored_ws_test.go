package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"bottled/attack"
)

// A WebSocket of a route without a credential is searched as its responses are: each
// message whole, however it is cut into frames, and control frames.
func TestAttackStoredInWebSocket(t *testing.T) {
	w, m := newStore(t)
	var wire []byte
	var extensions string
	serve := func(rw http.ResponseWriter, r *http.Request) {
		m.serve(rw, r)
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		c, buf, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\nX-Echo: %s\r\n%s\r\n",
			base64.StdEncoding.EncodeToString(sum[:]), token, extensions)
		c.Write(wire)
		io.Copy(io.Discard, buf)
	}
	w.upstream(serve, "api.example.com", "other.example.com")
	w.plainUpstream(serve)
	// after returns the head of the answer and the bytes of the frames.
	after := func(host, scheme, ask string) (head, frames string, err error) {
		var c net.Conn
		if scheme == "wss" {
			c = w.tls(host, 443, "http/1.1")
		} else {
			c = w.connectName(host, 80)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(5 * time.Second))
		io.WriteString(c, strings.Replace(strings.Replace(handshake, "api.example.com", host, 1), "\r\n\r\n", ask+"\r\n\r\n", 1))
		in := bufio.NewReader(c)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return "", "", err
		}
		if resp.StatusCode != 101 {
			return resp.Status, "", nil
		}
		var fields bytes.Buffer
		resp.Header.Write(&fields)
		got := make([]byte, len(wire))
		_, err = io.ReadFull(in, got)
		return fields.String(), string(got), err
	}
	// payload is what the frames say, all of which are short, but for pings in between.
	payload := func(frames string) (text string) {
		for len(frames) > 0 {
			end := 2 + int(frames[1])
			text, frames = text+strings.TrimPrefix(frames[2:end], "between"), frames[end:]
		}
		return text
	}
	server := &end{}
	rows := map[string][]byte{
		"one message":  server.frames(piece{0x81, []byte(token)}),
		"two messages": server.frames(piece{0x81, []byte(token[:20])}, piece{0x81, []byte(token[20:])}),
		"a frame each": server.frames(fragments(1, []byte(token), len(token), true)...),
		"ping":         server.frames(piece{0x89, []byte(token)}),
		"close reason": server.frames(piece{0x88, closing(1008, "bad token "+token)}),
	}
	for cut := range len(token) {
		rows[fmt.Sprintf("cut at %d", cut)] = server.frames(piece{0x01, []byte(token[:cut])}, piece{0x80, []byte(token[cut:])})
	}
	for name, frames := range rows {
		for _, scheme := range []string{"wss", "ws"} {
			wire = frames
			probe := func(host string) attack.Probe {
				return func(t *testing.T) error {
					head, frames, err := after(host, scheme, "")
					if err != nil || len(frames) != len(wire) {
						t.Fatalf("%q, %v", frames, err)
					}
					text := payload(frames)
					if name == "two messages" {
						text = text[20:] // the first had to be passed on before the second came
					}
					shown := strings.HasSuffix(text, token[20:])
					if shown != strings.Contains(head, token) {
						t.Errorf("%q", head)
					}
					if shown || name != "two messages" && strings.Contains(text, token[:4]) {
						return nil
					}
					return errors.New("masked")
				}
			}
			attack.Stopped(t, "C01", "stored, then shown on a WebSocket: "+name+", "+scheme, probe("other.example.com"), probe("api.example.com"))
		}
	}
	wire, extensions = []byte("\xc1\x03abc"), "Sec-WebSocket-Extensions: permessage-deflate\r\n"
	deflating := func(host string) attack.Probe {
		return func(*testing.T) error {
			if head, frames, err := after(host, "wss", "\r\nSec-WebSocket-Extensions: permessage-deflate"); err != nil || frames != string(wire) {
				return fmt.Errorf("%.40q, %v", head, err)
			}
			return nil
		}
	}
	attack.Stopped(t, "C03", "permessage-deflate, insisted on", deflating("other.example.com"), deflating("api.example.com"))
}
