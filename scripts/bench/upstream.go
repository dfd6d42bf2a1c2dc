package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"bottled/upstreamtest"
)

// Sizes of the answers, in bytes. The big one is that of [bigPath].
const (
	small   = 1 << 10
	big     = 1 << 20
	bigPath = "/big"
)

// upstream answers every request with the same bytes. It writes the authority that
// signed its certificate to args[0]/ca.pem and prints where it listens.
func upstream(args []string) int {
	l, err := listen(args[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, "upstream:", err)
		return 1
	}
	fmt.Println(l.Addr())
	for {
		c, err := l.Accept()
		if err != nil {
			return 1
		}
		go func() {
			defer c.Close()
			answer := answerHTTP1
			if t := c.(*tls.Conn); t.Handshake() == nil && t.ConnectionState().NegotiatedProtocol == http2.NextProtoTLS {
				answer = answerHTTP2
			}
			_ = answer(c) // until the client goes
		}()
	}
}

func listen(dir string) (net.Listener, error) {
	authority, err := upstreamtest.NewAuthority()
	if err != nil {
		return nil, err
	}
	leaf, err := authority.Leaf(upstreamName)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), authority.PEM(), 0o644); err != nil {
		return nil, err
	}
	return tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{leaf}, NextProtos: []string{http2.NextProtoTLS, "http/1.1"},
	})
}

func reply(body int) []byte {
	return []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: Mon, 02 Jan 2026 15:04:05 GMT\r\nContent-Length: " +
		strconv.Itoa(body) + "\r\n\r\n" + strings.Repeat("x", body))
}

func answerHTTP1(c net.Conn) error {
	in, little, much := bufio.NewReader(c), reply(small), reply(big)
	for {
		first, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		answer := little
		if bytes.Contains(first, []byte(bigPath)) {
			answer = much
		}
		length, err := restOfHead(in)
		if err != nil {
			return err
		}
		if _, err := in.Discard(length); err != nil {
			return err
		}
		if _, err := c.Write(answer); err != nil {
			return err
		}
	}
}

// restOfHead reads the fields of a message and returns its Content-Length.
func restOfHead(in *bufio.Reader) (length int, err error) {
	const field = "content-length: "
	for {
		line, err := in.ReadSlice('\n')
		switch {
		case err != nil:
			return 0, err
		case len(line) == len("\r\n"):
			return length, nil
		case len(line) > len(field) && bytes.EqualFold(line[:len(field)], []byte(field)):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(field):]))); err != nil {
				return 0, err
			}
		case bytes.HasPrefix(bytes.ToLower(line), []byte("transfer-encoding")):
			return 0, errors.New("chunks are not read here")
		}
	}
}

// answerHTTP2 answers each request as it comes, with 1 KiB. It counts on the client to
// give back what the answers take of its windows long before they are used up.
func answerHTTP2(c net.Conn) error {
	in := bufio.NewReader(c)
	if _, err := io.CopyN(io.Discard, in, int64(len(http2.ClientPreface))); err != nil {
		return err
	}
	out := bufio.NewWriterSize(c, 64<<10)
	framer := http2.NewFramer(out, in)
	framer.SetReuseFrames()
	head := block(":status", "200", "content-type", "text/plain", "date", "Mon, 02 Jan 2026 15:04:05 GMT", "content-length", strconv.Itoa(small))
	body := bytes.Repeat([]byte("x"), small)
	err := framer.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 250})
	for err == nil {
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		var f http2.Frame
		if f, err = framer.ReadFrame(); err != nil {
			return err
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				err = framer.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				err = framer.WritePing(true, f.Data)
			}
		case *http2.HeadersFrame:
			err = errors.Join(
				framer.WriteHeaders(http2.HeadersFrameParam{StreamID: f.StreamID, BlockFragment: head, EndHeaders: true}),
				framer.WriteData(f.StreamID, true, body))
		}
	}
	return err
}

// block encodes fields so that no other block depends on it: without the dynamic table.
func block(fields ...string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for i := 0; i < len(fields); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1], Sensitive: true}) // to memory: cannot fail
	}
	return b.Bytes()
}
