package api

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const createBody = `{"name":"b","manifest":"version: 1\n","command":["true"],"dir":"/work"}`

func TestCalls(t *testing.T) {
	f := newFake()
	socket, log := serve(t, f)
	for _, c := range []struct{ name, method, path, body, status, want string }{
		{"version", "GET", "/v1/version", "", "200 OK", `"api":"v1"`},
		{"doctor", "GET", "/v1/doctor", "", "200 OK", `"fix":"boot a newer kernel"`},
		{"empty list", "GET", "/v1/bottles", "", "200 OK", "[]\n"},
		{"create", "POST", "/v1/bottles", createBody, "200 OK", `"id":"id-b"`},
		{"create again", "POST", "/v1/bottles", createBody, "409 Conflict", `"message":"the name \"b\" is taken"`},
		{"no such command", "POST", "/v1/bottles", `{"name":"c","manifest":"v","command":["missing"],"dir":"/"}`, "422 Unprocessable Entity", CodeNoCommand},
		{"list", "GET", "/v1/bottles?all=true", "", "200 OK", `"name":"b"`},
		{"inspect", "GET", "/v1/bottles/b", "", "200 OK", `"allowlist":{"routes":[]}`},
		{"inspect a chain", "GET", "/v1/bottles/b", "", "200 OK", `"upstream_proxy":{"url":"http://127.0.0.1:3128","ca":"00ff","scheme":"Basic","from":"policy"}`},
		{"wait", "GET", "/v1/bottles/b/wait", "", "200 OK", `{"code":143,"signal":15}`},
		{"exec", "POST", "/v1/bottles/b/exec", `{"command":["true"]}`, "200 OK", `{"id":"e1","pid":7}`},
		{"wait exec", "GET", "/v1/bottles/b/exec/e1/wait", "", "200 OK", `{"code":3}`},
		{"signal", "POST", "/v1/bottles/b/signal", `{"signal":15}`, "200 OK", `{}`},
		{"bad signal", "POST", "/v1/bottles/b/signal", `{"signal":33}`, "400 Bad Request", "use 1 to 64"},
		{"routes", "PUT", "/v1/bottles/b/routes", `{"manifest":"version: 1"}`, "200 OK", `{"generation":2,"routes":5}`},
		{"stop", "POST", "/v1/bottles/b/stop", `{"grace_seconds":3}`, "200 OK", `{}`},
		{"bad grace", "POST", "/v1/bottles/b/stop", `{"grace_seconds":301}`, "400 Bad Request", "0 to 300"},
		{"unknown bottle", "GET", "/v1/bottles/nope", "", "404 Not Found", `no bottle or command \"nope\"`},
		{"unknown path", "GET", "/v1/wires", "", "404 Not Found", "not part of the API"},
		{"method", "DELETE", "/v1/bottles/b", "", "405 Method Not Allowed", "use GET"},
		{"unknown flag", "GET", "/v1/bottles?everything=1", "", "400 Bad Request", "not understood"},
		{"events of no bottle", "GET", "/v1/events?bottle=nope", "", "503 Service Unavailable", "keeps no events"},
		{"events, no such flag", "GET", "/v1/events?bottle=..%2Fx", "", "400 Bad Request", "not understood"},
		{"metrics of none", "GET", "/v1/metrics", "", "503 Service Unavailable", "keeps no metrics"},
		{"stats of none", "GET", "/v1/stats", "", "200 OK", "[]\n"},
		{"body on GET", "GET", "/v1/bottles", "{}", "400 Bad Request", "takes no body"},
		{"no command", "POST", "/v1/bottles", `{"manifest":"v","command":[],"dir":"/"}`, "400 Bad Request", "name a program"},
		{"relative dir", "POST", "/v1/bottles", `{"manifest":"v","command":["a"],"dir":"x/../y"}`, "400 Bad Request", "absolute path"},
		{"empty token", "POST", "/v1/bottles", `{"manifest":"v","command":["a"],"dir":"/","tokens":{"GH_PAT":""}}`, "400 Bad Request", "will not inject an empty token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, answer := do(t, socket, c.method, c.path, c.body)
			if status != c.status || !strings.Contains(answer, c.want) {
				t.Errorf("%s %s: %s %s\nwant %s with %s", c.method, c.path, status, answer, c.status, c.want)
			}
		})
	}
	// One line for each change asked for, none for reading.
	if n := strings.Count(log.String(), "msg=api"); n != 12 || !strings.Contains(log.String(), "uid=0") {
		t.Errorf("log has %d lines:\n%s", n, log)
	}
}

func TestStrictJSON(t *testing.T) {
	for name, body := range map[string]string{
		"case":          `{"Manifest":"v","command":["a"],"dir":"/"}`,
		"twice":         `{"manifest":"v","command":["a"],"dir":"/","dir":"/etc"}`,
		"unknown":       `{"manifest":"v","command":["a"],"dir":"/","caps":["CAP_SYS_ADMIN"]}`,
		"nested case":   `{"manifest":"v","command":["a"],"dir":"/","user":{"UID":5,"gid":5}}`,
		"nested twice":  `{"manifest":"v","command":["a"],"dir":"/","user":{"uid":5,"uid":0,"gid":5}}`,
		"map twice":     `{"manifest":"v","command":["a"],"dir":"/","tokens":{"A":"x","A":"y"}}`,
		"two documents": `{"manifest":"v","command":["a"],"dir":"/"}{}`,
		"trailing":      `{"manifest":"v","command":["a"],"dir":"/"} x`,
		"null":          `{"manifest":"v","command":["a"],"dir":"/","user":null}`,
		"not UTF-8":     "{\"manifest\":\"\xff\",\"command\":[\"a\"],\"dir\":\"/\"}",
		"cut":           `{"manifest":"v"`,
		"empty":         ``,
		"wrong type":    `{"manifest":1,"command":["a"],"dir":"/"}`,
		"array":         `[]`,
		"deep":          `{"manifest":"v","command":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `}`,
		"deep map":      strings.Repeat(`{"tokens":`, 10000),
	} {
		var r CreateRequest
		err := decode([]byte(body), &r)
		if err == nil || refusalOf(err, "").status != 400 {
			t.Errorf("%s: %v", name, err)
		}
	}
	var r CreateRequest
	if err := decode([]byte(`{"manifest":"v","command":["a"],"dir":"/","tokens":{"A":"x"},"user":{"uid":5,"gid":6}}`), &r); err != nil || r.User.GID != 6 || r.Tokens["A"] != "x" {
		t.Errorf("a good one: %+v, %v", r, err)
	}
}

func TestInternalErrorsAndPanics(t *testing.T) {
	f := newFake()
	f.panics = true
	socket, log := serve(t, f)
	status, answer := do(t, socket, "POST", "/v1/bottles", createBody)
	var e Error
	if err := json.Unmarshal([]byte(answer), &e); err != nil || status != "500 Internal Server Error" || e.Code != "internal" || e.RequestID == "" {
		t.Errorf("%s %s", status, answer)
	}
	if !strings.Contains(log.String(), e.RequestID) || !strings.Contains(log.String(), "on purpose") {
		t.Errorf("the log does not tell: %s", log)
	}
	if status, _ := do(t, socket, "GET", "/v1/version", ""); status != "200 OK" {
		t.Errorf("after a panic: %s", status)
	}
}

// A client that goes ends its lease: at once, and also long after the time a
// request may take to arrive.
func TestWaitEndsWithTheClient(t *testing.T) {
	f := newFake()
	socket, _ := serve(t, f)
	do(t, socket, "POST", "/v1/bottles", createBody)
	c := dial(t, socket)
	io.WriteString(c, "GET /v1/bottles/b/wait?attached=1 HTTP/1.1\r\nHost: b\r\n\r\n")
	select {
	case <-f.gone:
		t.Fatal("the lease ended while the client was there")
	case <-time.After(300 * time.Millisecond):
	}
	c.Close()
	select {
	case <-f.gone:
	case <-time.After(5 * time.Second):
		t.Fatal("the lease did not end with its client")
	}
}

func TestListen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "run", "s")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), ErrInUse.Error()) {
		t.Errorf("second daemon: %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatalf("no stale socket to replace: %v", err)
	}
	if l, err = Listen(path); err != nil {
		t.Fatalf("stale socket: %v", err)
	}
	l.Close()
	os.WriteFile(path, nil, 0o600)
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a file in the way: %v", err)
	}
	os.Chmod(filepath.Dir(path), 0o777)
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "only its owner") {
		t.Errorf("a directory for all: %v", err)
	}
}

// Without a group that may write to the socket, only root may call.
func TestSocketWithoutGroupIsRootOnly(t *testing.T) {
	socket, _ := serve(t, newFake())
	if g := socketGroup(socket); g != testGroup {
		t.Fatalf("group %d", g)
	}
	os.Chmod(socket, 0o606)
	if g := socketGroup(socket); g != 0 {
		t.Errorf("group %d although it may not write", g)
	}
	if g := socketGroup(filepath.Dir(socket)); g != 0 {
		t.Errorf("group %d of a directory", g)
	}
	if g := socketGroup("@abstract"); g != 0 {
		t.Errorf("group %d of an abstract socket", g)
	}
}

func TestPeerAsTheKernelTells(t *testing.T) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(pair[1])
	f := os.NewFile(uintptr(pair[0]), "pair")
	c, err := net.FileConn(f)
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p, err := peerOf(c.(*net.UnixConn))
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if p.UID != 0 || p.PID != os.Getpid() || p.gone() {
		t.Errorf("%+v", p)
	}
}

func TestServeWantsAUnixListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := NewServer(newFake(), slog.New(slog.DiscardHandler)).Serve(l); err == nil {
		t.Error("served TCP")
	}
}

func TestShutdownWaitsAndThenCloses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(newFake(), nil)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	do(t, path, "POST", "/v1/bottles", createBody)
	c := dial(t, path)
	defer c.Close()
	io.WriteString(c, "GET /v1/bottles/b/wait?attached=1 HTTP/1.1\r\nHost: b\r\n\r\n")
	time.Sleep(100 * time.Millisecond)
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); err == nil {
		t.Error("a request under way did not hold the shutdown")
	}
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
}
