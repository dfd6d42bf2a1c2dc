package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"bottled/attack"
)

// echConfig is a key for encrypted ClientHellos and its ECHConfigList (RFC 9849 section 4).
func echConfig(t *testing.T, publicName string) (tls.EncryptedClientHelloKey, []byte) {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	short := func(b []byte) []byte { return append([]byte{byte(len(b))}, b...) }
	long := func(b []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) }
	contents := bytes.Join([][]byte{
		{1}, {0, 0x20}, long(key.PublicKey().Bytes()), // DHKEM(X25519, HKDF-SHA256)
		long([]byte{0, 1, 0, 1}), {64}, short([]byte(publicName)), long(nil),
	}, nil)
	config := append([]byte{0xfe, 0x0d}, long(contents)...)
	return tls.EncryptedClientHelloKey{Config: config, PrivateKey: key.Bytes()}, long(config)
}

// A ClientHello inside of another is nobody's: the outer one is judged, and no name
// but its own is ever looked up.
func TestAttackEncryptedHello(t *testing.T) {
	w := newWorld(t, bareAPI)
	s := w.sink(443, okReply, "api.example.com", "evil.example.com")
	for _, row := range []struct{ name, outer, inner string }{
		{"allowed outside, denied inside", "api.example.com", "evil.example.com"},
		{"denied outside, allowed inside", "evil.example.com", "api.example.com"},
		{"allowed outside, the same inside", "api.example.com", "api.example.com"},
	} {
		key, list := echConfig(t, row.outer)
		shake := func(c net.Conn, roots *x509.CertPool) error {
			client := tls.Client(c, &tls.Config{ServerName: row.inner, RootCAs: roots, EncryptedClientHelloConfigList: list, MinVersion: tls.VersionTLS13})
			defer client.Close()
			if err := client.Handshake(); err != nil {
				return err
			}
			if !client.ConnectionState().ECHAccepted {
				return errors.New("not accepted")
			}
			return nil
		}
		attack.Stopped(t, "S10", row.name,
			func(t *testing.T) error {
				l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: s.tls.Certificates, EncryptedClientHelloKeys: []tls.EncryptedClientHelloKey{key}})
				if err != nil {
					return err
				}
				defer l.Close()
				go each(l, func(c net.Conn) { io.Copy(io.Discard, c) })
				c, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					return err
				}
				return shake(c, w.authority.Pool())
			},
			func(t *testing.T) error {
				err := shake(w.connectName("api.example.com", 443), w.trust())
				if rejected := new(tls.ECHRejectionError); !errors.As(err, &rejected) || len(rejected.RetryConfigList) > 0 {
					t.Errorf("not rejected, or with another key: %v", err)
				}
				if len(w.asked) > 0 || s.opened() > 0 {
					return nil
				}
				return err
			})
	}
}

// extension is one of a ClientHello.
func extension(id uint16, body []byte) []byte {
	return append(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, id), uint16(len(body))), body...)
}

// serverNames is the extension with these entries: the type of a name, and it.
func serverNames(entries ...string) []byte {
	var list []byte
	for _, e := range entries {
		list = append(binary.BigEndian.AppendUint16(append(list, e[0]), uint16(len(e)-1)), e[1:]...)
	}
	return extension(0, append(binary.BigEndian.AppendUint16(nil, uint16(len(list))), list...))
}

// exchanged is a record of clientHello with other bytes among its extensions.
func exchanged(t *testing.T, record, old, other []byte) []byte {
	t.Helper()
	if bytes.Count(record, old) != 1 {
		t.Fatalf("%x is not once in %x", old, record)
	}
	out := bytes.Replace(record, old, other, 1)
	const handshake, extensions = 6, 82 // where their lengths are
	for _, at := range []int{3, handshake + 1, extensions} {
		binary.BigEndian.PutUint16(out[at:], uint16(int(binary.BigEndian.Uint16(out[at:]))+len(other)-len(old)))
	}
	return out
}

// Hellos that two readers take for two things end the handshake, and so does data before
// its end: it can be replayed, and comes before the name is judged.
func TestAttackHelloExtensions(t *testing.T) {
	w := newWorld(t, bareAPI)
	w.sink(443, okReply, "api.example.com")
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	hello := clientHello("api.example.com", key.PublicKey().Bytes())
	const api, evil = "\x00api.example.com", "\x00evil.example.com"
	sni := serverNames(api)
	with := func(more ...[]byte) []byte {
		return exchanged(t, hello, sni, bytes.Join(append([][]byte{sni}, more...), nil))
	}
	send := func(record []byte) attack.Probe {
		return func(*testing.T) error {
			c := w.connectName("api.example.com", 443)
			defer c.Close()
			got, err := answerTo(c, record)
			if err == nil && got != "ServerHello" {
				err = errors.New(got)
			}
			return err
		}
	}
	for _, row := range []struct {
		id, name string
		record   []byte
	}{
		{"S13", "early data", with(extension(42, nil))},
		{"S07", "a second server name", with(serverNames(evil))},
		{"S07", "two names in a list", exchanged(t, hello, sni, serverNames(api, evil))},
		{"S07", "the same name twice", exchanged(t, hello, sni, serverNames(api, api))},
		{"S07", "an empty name", exchanged(t, hello, sni, serverNames("\x00"))},
		{"S07", "a list that is longer than it says", exchanged(t, hello, sni, append(bytes.Clone(sni), 0))},
		{"S07", "two ALPN extensions", with(extension(16, []byte("\x00\x03\x02h2")), extension(16, []byte("\x00\x09\x08http/1.1")))},
		{"S07", "an empty ALPN name", with(extension(16, []byte("\x00\x01\x00")))},
		{"S07", "no ALPN name that is known", with(extension(16, []byte("\x00\x06\x05spdy3")))},
		{"S07", "an ALPN list that is longer than it says", with(extension(16, []byte("\x00\x30\x02h2")))},
		{"S07", "SSL 3.0 and nothing else", exchanged(t, hello, extension(43, []byte{2, 3, 4}), extension(43, []byte{2, 3, 0}))},
		{"S07", "TLS 1.0 and nothing else", exchanged(t, hello, extension(43, []byte{2, 3, 4}), extension(43, []byte{2, 3, 1}))},
	} {
		attack.Stopped(t, row.id, row.name, send(hello), send(row.record))
	}
	if len(w.asked) > 0 {
		t.Errorf("looked up %q", w.asked)
	}
}

// opensslClient shakes hands with address, gives commands, each a letter, and returns
// what was said until the end, a request after the commands included.
func opensslClient(t *testing.T, address, version, commands string) string {
	t.Helper()
	cmd := exec.Command("openssl", "s_client", "-connect", address, "-servername", "api.example.com", version)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	overdue := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	defer overdue.Stop()
	// It takes one command each time that it reads, so the next one waits until it has
	// said that it took the one before.
	var said strings.Builder
	next := commands + "."
	for lines := bufio.NewScanner(out); lines.Scan(); {
		fmt.Fprintln(&said, lines.Text())
		switch lines.Text() {
		case "KEYUPDATE", "RENEGOTIATING":
		default:
			if len(next) <= len(commands) || !strings.Contains(lines.Text(), "Verify return code") {
				continue
			}
		}
		if next == "." {
			io.WriteString(in, "GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n")
		} else if next != "" {
			fmt.Fprintf(in, "%c\n", next[0])
		}
		next = strings.TrimPrefix(next, next[:min(1, len(next))])
	}
	in.Close()
	cmd.Wait()
	return said.String()
}

// bridge is an address where a program finds what connectName finds.
func (w *world) bridge(name string) string {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	var both sync.WaitGroup
	both.Go(func() {
		each(l, func(c net.Conn) {
			inner := w.connectName(name, 443)
			both.Go(func() { io.Copy(inner, c); inner.(*net.TCPConn).CloseWrite() })
			io.Copy(c, inner)
			c.Close()
		})
	})
	w.t.Cleanup(func() { l.Close(); both.Wait() })
	return l.Addr().String()
}

// A handshake inside of the connection, with another name for all one knows, is not
// made; and keys are not changed without end.
func TestAttackAfterHandshake(t *testing.T) {
	w := newWorld(t, bareAPI)
	w.sink(443, lastReply, "api.example.com")
	address := w.bridge("api.example.com")
	answered := func(out string) error {
		if strings.Contains(out, "HTTP/1.1 200 OK") || strings.Contains(out, "HTTP/1.0 200 ok") {
			return nil
		}
		why := regexp.MustCompile(`[a-z ]*alert [a-z ]+|errno=\d+|no renegotiation`).FindString(out)
		return errors.New("no answer: " + strings.TrimSpace(why))
	}
	attack.Stopped(t, "S13", "renegotiation",
		func(t *testing.T) error { // where it is made, the request afterwards is answered
			return answered(opensslClient(t, renegotiating(t, w), "-tls1_2", "R"))
		},
		func(t *testing.T) error { return answered(opensslClient(t, address, "-tls1_2", "R")) })
	attack.Stopped(t, "S13", "keys are changed a hundred times",
		func(t *testing.T) error { return answered(opensslClient(t, address, "-tls1_3", "KkK")) },
		func(t *testing.T) error {
			return answered(opensslClient(t, address, "-tls1_3", strings.Repeat("K", 100)))
		})
}

// renegotiating is a server that allows it.
func renegotiating(t *testing.T, w *world) string {
	t.Helper()
	leaf, err := w.authority.Leaf("api.example.com")
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "leaf.pem")
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Certificate[0]}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", file, "-key", file, "-tls1_2", "-client_renegotiation", "-www")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "ACCEPT "); ok {
			go io.Copy(io.Discard, out)
			return address
		}
	}
	t.Fatal("openssl s_server does not listen")
	return ""
}
