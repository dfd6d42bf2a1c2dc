package siege

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tlsStream is HTTP/1.1 over TLS on a connection that somebody else opened.
type tlsStream struct {
	*tls.Conn
	r *bufio.Reader
}

// takeSocket takes the connected TCP socket of the bottle's agent.
func takeSocket(t testing.TB, b *besieged) *theft {
	t.Helper()
	for _, pid := range pidsIn(t, b.d.config, "bottle") {
		fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		pidfd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		defer unix.Close(pidfd)
		for _, path := range fds {
			to, err := os.Readlink(path)
			if err != nil || !strings.HasPrefix(to, "socket:") {
				continue
			}
			number, err := strconv.Atoi(filepath.Base(path))
			must(t, err)
			fd, err := unix.PidfdGetfd(pidfd, number, 0)
			if err != nil {
				continue
			}
			if family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil || family != unix.AF_INET {
				unix.Close(fd)
				continue
			}
			if _, err := unix.Getpeername(fd); err != nil {
				unix.Close(fd)
				continue
			}
			f := os.NewFile(uintptr(fd), "stolen")
			conn, err := net.FileConn(f)
			must(t, err)
			t.Cleanup(func() { conn.Close(); f.Close() })
			secure := tls.Client(conn, &tls.Config{ServerName: allowedHost, InsecureSkipVerify: true}) // the bottle's authority is not ours
			return &theft{conn: f, stream: &tlsStream{secure, bufio.NewReader(secure)}}
		}
	}
	t.Fatal("the agent has no connection")
	return nil
}

// request makes a request on the stolen connection.
func (s *theft) request(path string) (string, error) {
	s.stream.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(s.stream, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, allowedHost); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(s.stream.r, nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	return string(text), err
}
