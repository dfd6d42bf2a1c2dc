package proxy

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"bottled/audit"
	"bottled/proxy/frame"
)

// upgrading reports whether the client asks for a WebSocket. Any other Upgrade is
// of this hop and simply dropped.
func (x *exchange) upgrading(r *http.Request) bool {
	return r.ProtoMajor == 1 && has(r.Header, "Connection", "upgrade") && has(r.Header, "Upgrade", "websocket")
}

// badHandshake says what is wrong with the client's side of the handshake (RFC
// 6455 section 4.2.1), or "".
func badHandshake(r *http.Request) string {
	key := r.Header["Sec-Websocket-Key"]
	switch {
	case r.Method != http.MethodGet || r.ProtoMinor < 1:
		return "the handshake is a GET of HTTP/1.1"
	case r.ContentLength != 0:
		return "the handshake has no body"
	case len(r.Header["Sec-Websocket-Version"]) != 1 || r.Header.Get("Sec-Websocket-Version") != "13":
		return "Sec-WebSocket-Version must be 13"
	case len(r.Header["Upgrade"]) != 1 || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		return "Upgrade must be websocket and nothing else"
	case len(key) != 1:
		return "Sec-WebSocket-Key must be there once"
	}
	if raw, err := base64.StdEncoding.DecodeString(key[0]); err != nil || len(raw) != 16 {
		return "Sec-WebSocket-Key must be 16 bytes in base64"
	}
	return ""
}

// serveWebSocket carries the handshake out and joins the two sides only when the
// upstream's 101 proves that it took part in it.
func (x *exchange) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	x.event.Protocol = "ws"
	if x.decision.Route.Sealed {
		x.deny(w, reasonSealed)
		return
	}
	if detail := badHandshake(r); detail != "" {
		x.deny(w, reasonWebSocket.because(detail))
		return
	}
	out, why, ok := x.prepare(w, r)
	if !ok {
		x.deny(w, why)
		return
	}
	defer x.idle.stop()
	out.Header["Connection"], out.Header["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	if x.guarded || x.scan != nil {
		delete(out.Header, "Sec-Websocket-Extensions") // compressed frames could not be searched
	}
	writer := &responseWriter{ResponseWriter: w, x: x}
	resp, err := x.send(out)
	switch {
	case err != nil:
		x.fail(failure(cause(x.ctx, err)))
	case resp.StatusCode == http.StatusSwitchingProtocols:
		x.join(w, out, resp)
		return
	default:
		x.relay(writer, resp)
	}
	x.settle(w, writer)
}

// relay passes on the answer of an upstream that did not upgrade.
func (x *exchange) relay(w *responseWriter, resp *http.Response) {
	defer resp.Body.Close()
	if why, ok := x.adopt(resp); !ok {
		x.fail(why)
		return
	}
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = w.ReadFrom(resp.Body) // x.readErr has it
}

// join verifies the 101 and splices the frames.
func (x *exchange) join(w http.ResponseWriter, out *http.Request, resp *http.Response) {
	defer resp.Body.Close()
	up, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || !accepted(out.Header, resp.Header) {
		x.deny(w, reasonUpgrade)
		return
	}
	extensions := resp.Header.Get("Sec-Websocket-Extensions")
	x.cleanResponse(resp.Header)
	resp.Header["Connection"], resp.Header["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		x.deny(w, reasonWebSocket.because("a WebSocket needs a connection of its own"))
		return
	}
	defer conn.Close()
	x.event.Status = http.StatusSwitchingProtocols
	buffered.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	resp.Header.Write(buffered)
	buffered.WriteString("\r\n")
	if buffered.Flush() != nil {
		return
	}
	idle := newIdle(x.s.cfg.Limits.WebSocketIdle, func() { x.cancel(errIdle) })
	defer idle.stop()
	x.idle.stop()
	client := &lockedWriter{ctx: x.ctx, w: conn, idle: idle}
	stop := context.AfterFunc(x.ctx, func() {
		client.close(frame.Going)
		conn.Close()
		up.Close()
	})
	defer stop()
	compressed := strings.Contains(extensions, "permessage-deflate")
	limit := x.s.cfg.Limits.WebSocketFrame
	x.frames(client, conn, up,
		&frame.Relay{FromClient: true, Compressed: compressed, MaxFrame: limit, Inspect: x.inspectFrames()}, buffered.Reader,
		x.receiving(&frame.Relay{Compressed: compressed, MaxFrame: limit}))
	if c := context.Cause(x.ctx); c != nil {
		x.event.Reason = failure(cause(x.ctx, c)).code
	}
}

// receiving has a relay from the upstream search what it carries.
func (x *exchange) receiving(r *frame.Relay) *frame.Relay {
	if x.guarded {
		r.Secrets = x.s.guard
	}
	return r
}

// frames runs both directions until one ends, then ends the other.
func (x *exchange) frames(client *lockedWriter, conn net.Conn, up io.ReadWriteCloser, sending *frame.Relay, in *bufio.Reader, receiving *frame.Relay) {
	var wg sync.WaitGroup
	wg.Go(func() {
		defer x.s.recovered()
		n, err := receiving.Copy(client, up)
		x.event.BytesDown = n
		x.broke(client, err)
		conn.Close()
	})
	n, err := sending.Copy(&lockedWriter{ctx: x.ctx, w: up, idle: client.idle}, in)
	x.event.BytesUp = n
	x.broke(client, err)
	up.Close()
	if err != nil {
		conn.Close()
	}
	wg.Wait()
	x.scrubbed(receiving.Found())
}

// broke tells the client why its connection ends, when it broke a rule.
func (x *exchange) broke(client *lockedWriter, err error) {
	var rule *frame.Error
	if errors.As(err, &rule) {
		client.close(rule.Code)
	}
}

func (x *exchange) inspectFrames() func(frame.Opcode, bool, []byte) error {
	if x.scan == nil {
		return nil
	}
	return func(op frame.Opcode, last bool, p []byte) error {
		if blocked := x.scan.Frame(byte(op), last, p); blocked != nil {
			x.event.Verdict, x.event.Reason = audit.Deny, reasonBlocked.code
			return blocked
		}
		return nil
	}
}

// accepted reports whether the upstream's 101 answers this very handshake (RFC
// 6455 section 4.1): it upgraded to WebSocket, knew the key, and chose a
// subprotocol and extensions that were offered.
func accepted(asked, answer http.Header) bool {
	sum := sha1.Sum([]byte(asked.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if !has(answer, "Connection", "upgrade") || !strings.EqualFold(answer.Get("Upgrade"), "websocket") ||
		answer.Get("Sec-Websocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]) {
		return false
	}
	if p := answer.Get("Sec-Websocket-Protocol"); p != "" && !has(asked, "Sec-Websocket-Protocol", p) {
		return false
	}
	for _, line := range answer["Sec-Websocket-Extensions"] {
		for ext := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(ext, ";")
			if !strings.Contains(asked.Get("Sec-Websocket-Extensions"), strings.TrimSpace(name)) || strings.TrimSpace(name) != "permessage-deflate" {
				return false
			}
		}
	}
	return true
}

// has reports whether a list-valued field holds token, in any case.
func has(h http.Header, name, token string) bool {
	for _, line := range h[http.CanonicalHeaderKey(name)] {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

// closeWait is how long a client that reads nothing may keep a close frame waiting.
const closeWait = time.Second

// lockedWriter serialises frames and the close frame, and keeps the connection
// from idling out. No frame is written once ctx has ended, whatever waits elsewhere.
type lockedWriter struct {
	ctx  context.Context
	mu   sync.Mutex
	w    io.Writer
	idle *idle
	over bool
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || l.ctx.Err() != nil {
		return 0, net.ErrClosed
	}
	l.idle.touch()
	return l.w.Write(p)
}

// close sends a close frame, as a server does, once. A Write that waits for the peer
// holds the lock, so from here on it waits no longer than that.
func (l *lockedWriter) close(code uint16) {
	if c, ok := l.w.(net.Conn); ok {
		_ = c.SetWriteDeadline(time.Now().Add(closeWait))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	l.over = true
	_, _ = l.w.Write(binary.BigEndian.AppendUint16([]byte{0x80 | byte(frame.Close), 2}, code)) // best effort
}
