package api

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bottled/attack"
)

// send is the probe that sends bytes as they are, with files, and wants to be refused.
func send(socket, request string, files []*os.File, want ...string) attack.Probe {
	return func(t *testing.T) error {
		answer := raw(t, socket, request, files...)
		_, content, _ := strings.Cut(answer, "\r\n\r\n")
		return outcome(t, statusOf(answer), content, want...)
	}
}

// openFDs counts this process's descriptors, which are the server's, too.
func openFDs(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// flat checks that what was opened was closed again.
func flat(t *testing.T, before int) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for openFDs(t) > before && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	if now := openFDs(t); now > before {
		t.Errorf("%d descriptors before, %d after", before, now)
	}
}

func TestAttackProtocol(t *testing.T) {
	socket, _ := serve(t, newFake())
	control := send(socket, request("GET", "/v1/bottles", ""), nil)
	before := openFDs(t)
	big := fmt.Sprintf("POST /v1/bottles HTTP/1.1\r\nHost: b\r\nContent-Length: %d\r\n\r\n{", 1<<30)
	create := request("POST", "/v1/bottles", `{"name":"deep","manifest":"v","command":["a"],"dir":"/"}`)
	for _, c := range []struct {
		name, request string
		want          []string
	}{
		{"1 GiB of body announced", big, []string{"413"}},
		{"chunked body", "POST /v1/bottles HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", []string{"411"}},
		{"chunked and a length", "POST /v1/bottles HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/bottles HTTP/1.1\r\nHost: b\r\n\r\n", []string{"411"}},
		{"two lengths", "POST /v1/bottles HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}", []string{"400"}},
		{"header without end", "GET /v1/bottles HTTP/1.1\r\nHost: b\r\nX: " + strings.Repeat("a", 64<<10) + "\r\n\r\n", []string{"431"}},
		{"nested 100,000 deep", request("POST", "/v1/bottles", strings.Repeat(`{"tokens":`, 100_000)), []string{"400"}},
		{"WebSocket", "GET /v1/bottles HTTP/1.1\r\nHost: b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", []string{"400"}},
		{"a web page's request", request("GET", "/v1/bottles", "", "Origin: http://evil.example"), []string{"400"}},
		{"another authority in the target", "GET http://evil/v1/bottles HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n", []string{"404"}},
		{"CONNECT", "CONNECT b:80 HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n", []string{"404"}},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []string{"505", "400", "404"}},
	} {
		c0 := control
		if strings.HasPrefix(c.name, "nested") {
			c0 = send(socket, create, nil)
		}
		attack.Stopped(t, "A16", c.name, c0, send(socket, c.request, nil, c.want...))
	}
	flat(t, before)
	if err := control(t); err != nil {
		t.Errorf("the server is not alive: %v", err)
	}
}

func pipeTriple(t *testing.T) []*os.File {
	t.Helper()
	var files []*os.File
	for i := range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close(); w.Close() })
		if i == 0 {
			files = append(files, r)
		} else {
			files = append(files, w)
		}
	}
	return files
}

func TestAttackDescriptors(t *testing.T) {
	socket, _ := serve(t, newFake())
	n := 0
	create := func(announced string) string {
		n++
		headers := []string{}
		if announced != "" {
			headers = append(headers, FDHeader+": "+announced)
		}
		return request("POST", "/v1/bottles", fmt.Sprintf(`{"name":"f%d","manifest":"v","command":["a"],"dir":"/"}`, n), headers...)
	}
	pipes := pipeTriple(t)
	good := func(t *testing.T) error { return send(socket, create("3"), pipes)(t) }
	open := func(path string, flags int) *os.File {
		f, err := os.OpenFile(path, flags, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	udpFile, err := udp.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer udpFile.Close()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(f *os.File) []*os.File { return []*os.File{pipes[0], pipes[1], f} }
	cases := []struct {
		name      string
		announced string
		files     []*os.File
	}{
		{"not announced", "", pipes},
		{"more announced than came", "3", pipes[:1]},
		{"none of those announced", "3", nil},
		{"nonsense announced", "-1", pipes},
		{"two of three", "2", pipes[:2]},
		{"four", "4", append(with(pipes[2]), pipes[1])},
		{"thirty", "30", many(pipes[1], 30)},
		{"250, the most that one message holds", "250", many(pipes[1], 250)},
		{"a directory of the host", "3", with(open("/", unix.O_RDONLY|unix.O_DIRECTORY))},
		{"a file of the host", "3", with(open("/dev/null", unix.O_WRONLY))},
		{"an O_PATH descriptor", "3", with(open("/", unix.O_PATH))},
		{"a socket, which would be a wire", "3", with(udpFile)},
		{"a FIFO of the file system", "3", with(open(fifo, unix.O_RDWR))},
		{"the wrong ends", "3", []*os.File{pipes[1], pipes[1], pipes[0]}},
	}
	before := openFDs(t)
	for _, c := range cases {
		attack.Stopped(t, "A16", "descriptors: "+c.name, good, func(t *testing.T) error {
			return send(socket, create(c.announced), c.files, "400")(t)
		})
	}
	attack.Stopped(t, "A16", "descriptors on a call that takes none", send(socket, request("GET", "/v1/bottles", ""), nil),
		send(socket, request("GET", "/v1/bottles", "", FDHeader+": 3"), pipes, "400"))
	attack.Stopped(t, "A16", "a pipe in a terminal's place", good, func(t *testing.T) error {
		body := `{"name":"tty","manifest":"v","command":["a"],"dir":"/","terminal":true}`
		return send(socket, request("POST", "/v1/bottles", body, FDHeader+": 1"), pipes[:1], "400")(t)
	})
	flat(t, before)
}

// A service of the host that asks who writes to it would hear that root does.
func TestAttackConsole(t *testing.T) {
	socket, _ := serve(t, newFake())
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	defer ours.Close()
	defer theirs.Close()
	c := dial(t, socket)
	defer c.Close()
	service, err := c.File()
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	create := func(name string) string {
		return request("POST", "/v1/bottles", fmt.Sprintf(`{"name":%q,"manifest":"v","command":["a"],"dir":"/","terminal":true}`, name), FDHeader+": 1")
	}
	attack.Stopped(t, "A16", "a connection to a service in a terminal's place",
		send(socket, create("pair"), []*os.File{theirs}), send(socket, create("service"), []*os.File{service}, "400"))
}

// What is sent and never asked about is held by nobody, whatever becomes of the connection.
func TestAttackDescriptorFlood(t *testing.T) {
	socket, _ := serve(t, newFake())
	pipes := pipeTriple(t)
	before := openFDs(t)
	held := func(t *testing.T, each int) int {
		conns := make([]*net.UnixConn, 50)
		for i := range conns {
			conns[i] = dial(t, socket)
		}
		idle := openFDs(t)
		for _, c := range conns {
			for range 10 { // part of a header, again and again, each time with more
				if _, _, err := c.WriteMsgUnix([]byte("G"), rights(many(pipes[1], each)), nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(300 * time.Millisecond)
		grew := openFDs(t) - idle
		for _, c := range conns {
			c.Close()
		}
		return grew
	}
	attack.Stopped(t, "A16", "a flood of descriptors on requests that never end", func(t *testing.T) error {
		// The probe does deliver: a receiver of its own gets them all.
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(pair[0])
		defer unix.Close(pair[1])
		if err := unix.Sendmsg(pair[0], []byte("G"), rights(many(pipes[1], 100)), nil, 0); err != nil {
			return err
		}
		oob := make([]byte, unix.CmsgSpace(400))
		_, n, _, _, err := unix.Recvmsg(pair[1], make([]byte, 1), oob, unix.MSG_CMSG_CLOEXEC)
		if err != nil {
			return err
		}
		files, err := filesOf(oob[:n])
		defer closeFiles(files)
		if len(files) != 100 {
			return fmt.Errorf("%d descriptors arrived", len(files))
		}
		return err
	}, func(t *testing.T) error {
		// A server that collected would hold 50 × 10 × 100.
		if grew := held(t, 100); grew > 50*(maxFDs+2) {
			return nil
		}
		return errors.New("the number of descriptors stays flat")
	})
	flat(t, before)
}

// Half a request is not waited for without end, and costs others nothing.
func TestAttackSlowRequest(t *testing.T) {
	socket, _ := serve(t, newFake())
	before := openFDs(t)
	finish := func(c *net.UnixConn) error {
		c.SetDeadline(time.Now().Add(headerTimeout + 10*time.Second))
		answer, _ := io.ReadAll(c)
		if statusOf(string(answer)) == "200 OK" {
			return nil
		}
		return errors.New("closed, unanswered: " + statusOf(string(answer)))
	}
	attack.Stopped(t, "A16", "half a header, and then nothing", func(t *testing.T) error {
		c := dial(t, socket)
		defer c.Close()
		io.WriteString(c, "GET /v1/bottles HTTP/1.1\r\nHost: b\r\n")
		io.WriteString(c, "Connection: close\r\n\r\n")
		return finish(c)
	}, func(t *testing.T) error {
		c := dial(t, socket)
		defer c.Close()
		io.WriteString(c, "GET /v1/bottles HTTP/1.1\r\nHost: b\r\n")
		return finish(c)
	})
	flat(t, before)
}

func many(f *os.File, n int) []*os.File {
	files := make([]*os.File, n)
	for i := range files {
		files[i] = f
	}
	return files
}
