package proxy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"bottled/attack"
)

// h2Conn is a hand-made HTTP/2 client: it sends whatever fields it is told.
type h2Conn struct {
	net.Conn
	*http2.Framer
	stream uint32
	buf    bytes.Buffer
	enc    *hpack.Encoder
}

func field(name, value string) hpack.HeaderField { return hpack.HeaderField{Name: name, Value: value} }

// serverH2 is the same from an upstream's side, after the preface.
func serverH2(c net.Conn) *h2Conn {
	h := &h2Conn{Conn: c, Framer: http2.NewFramer(c, c), stream: 1}
	h.enc = hpack.NewEncoder(&h.buf)
	h.Framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	return h
}

func newH2(c net.Conn) (*h2Conn, error) {
	h := serverH2(c)
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		return nil, err
	}
	return h, h.WriteSettings()
}

// request sends fields (name, value, …) and returns the status, or how the stream
// ended without one.
func (h *h2Conn) request(body string, fields ...string) string {
	h.buf.Reset()
	for i := 0; i < len(fields); i += 2 {
		h.enc.WriteField(field(fields[i], fields[i+1]))
	}
	id := h.stream
	h.stream += 2
	if err := h.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: h.buf.Bytes(), EndHeaders: true, EndStream: body == ""}); err != nil {
		return err.Error()
	}
	if body != "" {
		if err := h.WriteData(id, true, []byte(body)); err != nil {
			return err.Error()
		}
	}
	for {
		f, err := h.ReadFrame()
		if err != nil {
			return err.Error()
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if v, ok := f.Value(http2.SettingEnableConnectProtocol); ok && v != 0 {
				return "200 extended CONNECT is offered"
			}
			if !f.IsAck() {
				h.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			if f.StreamID == id {
				return f.PseudoValue("status")
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == id {
				return "RST_STREAM " + f.ErrCode.String()
			}
		case *http2.GoAwayFrame:
			return "GOAWAY " + f.ErrCode.String()
		}
	}
}

func TestAttackHTTP2(t *testing.T) {
	w := newWorld(t, bareAPI)
	s := w.sink(443, okReply, "api.example.com")
	get := []string{":method", "GET", ":scheme", "https", ":authority", "api.example.com", ":path", "/x"}
	with := func(changes ...string) []string {
		out := append([]string(nil), get...)
		for i := 0; i < len(changes); i += 2 {
			found := false
			for j := 0; j < len(out); j += 2 {
				if out[j] == changes[i] {
					out[j+1], found = changes[i+1], true
				}
			}
			if !found {
				out = append(out, changes[i], changes[i+1])
			}
		}
		return out
	}
	without := func(name string) []string {
		var out []string
		for i := 0; i < len(get); i += 2 {
			if get[i] != name {
				out = append(out, get[i], get[i+1])
			}
		}
		return out
	}
	send := func(body string, fields []string) (string, string) {
		before := len(s.text())
		h, err := newH2(w.tls("api.example.com", 443, "h2"))
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		status := h.request(body, fields...)
		return status, s.text()[before:]
	}
	control := func(t *testing.T) error {
		if status, got := send("", get); status != "200" || !strings.HasPrefix(got, "GET /x HTTP/1.1\r\n") {
			return fmt.Errorf("%s, upstream got %q", status, got)
		}
		return nil
	}
	for _, row := range []struct {
		id, name, body string
		fields         []string
	}{
		{"G01", ":authority is not the SNI", "", with(":authority", "evil.example.com")},
		{"G03", ":path is a URL of another host", "", with(":path", "http://evil.example.com/z")},
		{"G03", ":path is a URL of this host", "", with(":path", "https://api.example.com/z")},
		{"G04", "host differs", "", with("host", "evil.example.com")},
		{"G04", "neither host nor :authority", "", without(":authority")},
		{"G04", "only a host, another", "", append(without(":authority"), "host", "evil.example.com")},
		{"G06", ":scheme http", "", with(":scheme", "http")},
		{"G06", ":scheme ftp", "", with(":scheme", "ftp")},
		{"G07", ":path *", "", with(":path", "*")},
		{"G07", "network path", "", with(":path", "//evil/x")},
		{"G07", "space", "", with(":path", "/a b")},
		{"G07", "fragment", "", with(":path", "/a#f")},
		{"G07", "raw byte", "", with(":path", "/\xff")},
		{"G09", "transfer-encoding", "", with("transfer-encoding", "chunked")},
		{"G09", "connection", "", with("connection", "close")},
		{"G09", "te: chunked", "", with("te", "chunked")},
		{"G09", "two content-lengths", "abc", append(with(":method", "POST"), "content-length", "3", "content-length", "4")},
		{"G09", "content-length is no number", "abc", append(with(":method", "POST"), "content-length", "+3")},
		{"G10", "CONNECT", "", []string{":method", "CONNECT", ":authority", "evil.example.com:443"}},
		{"G10", "extended CONNECT", "", with(":method", "CONNECT", ":protocol", "websocket")},
		{"G10", "CONNECT-UDP", "", with(":method", "CONNECT", ":protocol", "connect-udp")},
	} {
		attack.Stopped(t, row.id, row.name, control, func(t *testing.T) error {
			status, got := send(row.body, row.fields)
			if got != "" || strings.HasPrefix(status, "2") {
				t.Logf("upstream got %q", got)
				return nil
			}
			return errors.New(status)
		})
	}
	attack.Stopped(t, "G09", "content-length longer than the body", control, func(t *testing.T) error {
		status, got := send("abc", append(with(":method", "POST"), "content-length", "30"))
		if !strings.Contains(got, "Content-Length: 30\r\n") {
			return nil // a message of another length would be a whole one
		}
		return errors.New(status + ", the upstream's copy stays incomplete")
	})
	for _, d := range w.dials() {
		if d.Addr() != public {
			t.Errorf("dialled %s", d)
		}
	}
}
