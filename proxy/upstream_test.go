package proxy

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"bottled/routes"
)

// FuzzChainAnswer has a proxy answer a CONNECT with anything. Either that is a tunnel,
// whose first bytes are those that followed the answer's head, or it is refused in words
// of our own.
func FuzzChainAnswer(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 200 Connection established\r\nProxy-agent: x\r\n\r\nSSH-2.0-x\r\n", "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 204 No\n\n", "HTTP/1.1 200", "",
		"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	authority, err := routes.ParseAuthority("127.0.0.1:3128", 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		go func() {
			defer theirs.Close()
			io.ReadFull(theirs, make([]byte, len("CONNECT a.example.com:443 HTTP/1.1\r\nHost: a.example.com:443\r\n\r\n")))
			theirs.Write(answer)
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		tunnel, err := (&Upstream{Authority: authority}).chain().Tunnel(ctx, ours, "a.example.com:443")
		if err != nil {
			if len(err.Error()) > 100 || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%q is refused with %q", answer, err)
			}
			return
		}
		rest, _ := io.ReadAll(tunnel)
		if !bytes.HasSuffix(answer, rest) || !bytes.HasPrefix(answer, []byte("HTTP/1.")) {
			t.Errorf("%q is a tunnel that begins with %q", answer, rest)
		}
	})
}
