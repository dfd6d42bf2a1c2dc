package proxy_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"bottled/attack"
)

// clientHello is a hand-made ClientHello of TLS 1.3 (RFC 8446 section 4.1.2) in one
// record. Without a key share it asks for a HelloRetryRequest.
func clientHello(sni string, share []byte) []byte {
	sized := func(width int, parts ...[]byte) []byte {
		body := bytes.Join(parts, nil)
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(body)))[4-width:], body...)
	}
	extension := func(id uint16, body []byte) []byte {
		return append(binary.BigEndian.AppendUint16(nil, id), sized(2, body)...)
	}
	var shares []byte
	if share != nil {
		shares = append([]byte{0, 29}, sized(2, share)...)
	}
	hello := bytes.Join([][]byte{
		{3, 3}, bytes.Repeat([]byte{7}, 32), sized(1, bytes.Repeat([]byte{9}, 32)),
		sized(2, []byte{0x13, 1}), sized(1, []byte{0}),
		sized(2,
			extension(0, sized(2, []byte{0}, sized(2, []byte(sni)))),
			extension(10, sized(2, []byte{0, 29})),
			extension(13, sized(2, []byte{4, 3})),
			extension(43, sized(1, []byte{3, 4})),
			extension(51, sized(2, shares))),
	}, nil)
	return append([]byte{22, 3, 3}, sized(2, []byte{1}, sized(3, hello))...)
}

// answerTo sends records and returns "ServerHello", "HelloRetryRequest", or the alert.
func answerTo(c net.Conn, record []byte) (string, error) {
	if _, err := c.Write(record); err != nil {
		return "", err
	}
	c.SetReadDeadline(time.Now().Add(3 * time.Second))
	for {
		var head [5]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return "", err
		}
		body := make([]byte, binary.BigEndian.Uint16(head[3:]))
		if _, err := io.ReadFull(c, body); err != nil {
			return "", err
		}
		retry := []byte{0xCF, 0x21, 0xAD, 0x74} // RFC 8446 section 4.1.3
		switch {
		case head[0] == 21:
			return "", fmt.Errorf("alert: %w", tls.AlertError(body[1]))
		case head[0] == 22 && body[0] == 2 && bytes.HasPrefix(body[6:], retry):
			return "HelloRetryRequest", nil
		case head[0] == 22 && body[0] == 2:
			return "ServerHello", nil
		}
	}
}

func TestAttackHello(t *testing.T) {
	w := newWorld(t, bareAPI)
	s := w.sink(443, okReply, "api.example.com")
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	hellos := func(first, second string) error {
		c := w.connectName("api.example.com", 443)
		defer c.Close()
		if first != "" {
			if got, err := answerTo(c, clientHello(first, nil)); err != nil || got != "HelloRetryRequest" {
				return fmt.Errorf("first: %s, %v", got, err)
			}
		}
		if got, err := answerTo(c, clientHello(second, key.PublicKey().Bytes())); err != nil || got != "ServerHello" {
			return fmt.Errorf("%s%w", got, err)
		}
		return nil
	}
	for _, row := range []struct{ id, name, first, second string }{
		{"S09", "another allowed name after HelloRetryRequest", "api.example.com", "203.0.114.9"},
		{"S09", "a denied name after HelloRetryRequest", "api.example.com", "evil.example.com"},
		{"S09", "an allowed name after a denied one", "evil.example.com", "api.example.com"},
		{"S09", "another case after HelloRetryRequest", "api.example.com", "API.example.com"},
		{"S06", "trailing dot", "", "api.example.com."},
		{"S06", "trailing dot after HelloRetryRequest", "api.example.com", "api.example.com."},
	} {
		attack.Stopped(t, row.id, row.name,
			func(*testing.T) error {
				if row.first == "" {
					return hellos("", "api.example.com")
				}
				return hellos(row.first, row.first)
			},
			func(*testing.T) error { return hellos(row.first, row.second) })
	}
	if s.opened() != 0 {
		t.Error("dialled before a handshake was done")
	}
}
