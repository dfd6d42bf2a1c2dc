package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bottled/bottle"
	"bottled/secret"
)

// fake is a Bottles that remembers. It holds the owner rule, as any must.
type fake struct {
	mu      sync.Mutex
	bottles map[string]bottle.Info
	created []bottle.CreateOptions
	calls   []string
	panics  bool
	gone    chan string // gets a ref when an attached waiter goes
}

func newFake() *fake {
	return &fake{bottles: map[string]bottle.Info{}, gone: make(chan string, 16)}
}

func (f *fake) note(format string, a ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, a...))
}

func (f *fake) find(c bottle.Caller, ref string) (bottle.Info, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.bottles[ref]
	if !ok {
		return b, fmt.Errorf("%w: no %q at all", bottle.ErrNotFound, ref)
	}
	if !c.Root() && b.Owner != c.UID {
		return b, fmt.Errorf("%w: %q is of uid %d", bottle.ErrNotFound, ref, b.Owner)
	}
	return b, nil
}

func (f *fake) Create(_ context.Context, c bottle.Caller, o bottle.CreateOptions) (bottle.Info, error) {
	if f.panics {
		panic("on purpose")
	}
	if o.Stdio.Streams[1] != nil {
		fmt.Fprintf(o.Stdio.Streams[1], "hello from the bottle")
	}
	o.Stdio.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, taken := f.bottles[o.Name]; taken {
		return bottle.Info{}, fmt.Errorf("%w: the name %q is taken", bottle.ErrConflict, o.Name)
	}
	if o.Command[0] == "missing" {
		return bottle.Info{}, fmt.Errorf("%w: %q is not on the PATH", bottle.ErrNoCommand, o.Command[0])
	}
	b := bottle.Info{ID: "id-" + o.Name, Name: o.Name, Owner: c.UID, State: bottle.Running, Command: o.Command, Dir: o.Dir}
	f.bottles[o.Name] = b
	f.created = append(f.created, o)
	return b, nil
}

func (f *fake) List(c bottle.Caller, _ bool) (l []bottle.Info) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.bottles {
		if c.Root() || b.Owner == c.UID {
			l = append(l, b)
		}
	}
	return l
}

func (f *fake) Inspect(_ context.Context, c bottle.Caller, ref string) (bottle.Details, error) {
	b, err := f.find(c, ref)
	return bottle.Details{
		Info: b, Allowlist: []byte(`{"routes":[]}`),
		Chain: &bottle.Chain{URL: "http://127.0.0.1:3128", CA: "00ff", Scheme: "Basic", Operator: true},
	}, err
}

func (f *fake) Exec(_ context.Context, c bottle.Caller, ref string, o bottle.ExecOptions) (string, int, error) {
	defer o.Stdio.Close()
	_, err := f.find(c, ref)
	f.note("exec %s %d", ref, c.UID)
	return "e1", 7, err
}

func (f *fake) WaitExec(_ context.Context, c bottle.Caller, ref, _ string) (bottle.Exit, error) {
	_, err := f.find(c, ref)
	return bottle.Exit{Code: 3}, err
}

func (f *fake) Wait(ctx context.Context, c bottle.Caller, ref string, attached bool) (bottle.Exit, error) {
	if _, err := f.find(c, ref); err != nil {
		return bottle.Exit{}, err
	}
	if !attached {
		return bottle.Exit{Code: 143, Signal: 15}, nil
	}
	<-ctx.Done()
	f.gone <- ref
	return bottle.Exit{}, ctx.Err()
}

func (f *fake) Signal(_ context.Context, c bottle.Caller, ref, _ string, sig syscall.Signal) error {
	_, err := f.find(c, ref)
	if err == nil {
		f.note("signal %s %d", ref, sig)
	}
	return err
}

func (f *fake) UpdateRoutes(_ context.Context, c bottle.Caller, ref, _ string, _ []byte, _ map[string][]byte, _ map[string]secret.Token) (uint64, int, error) {
	_, err := f.find(c, ref)
	return 2, 5, err
}

func (f *fake) Proposals(_ context.Context, c bottle.Caller, _ string) ([]bottle.Pending, error) {
	if _, err := f.find(c, "mine"); err != nil {
		return nil, nil
	}
	return []bottle.Pending{{Bottle: "mine", Name: "mine", Owner: c.UID}}, nil
}

func (f *fake) Decide(_ context.Context, c bottle.Caller, ref string, number uint64, approve bool, answer string) error {
	_, err := f.find(c, ref)
	if err == nil {
		f.note("decide %s %d %t %s", ref, number, approve, answer)
	}
	return err
}

func (f *fake) Stop(_ context.Context, c bottle.Caller, ref string, _ time.Duration) error {
	if _, err := f.find(c, ref); err == nil {
		f.note("stop %s", ref)
	}
	return nil
}

func (f *fake) Doctor(context.Context) (bool, []bottle.Feature) {
	return false, []bottle.Feature{{Name: "bpf", Required: true, Fix: "boot a newer kernel"}}
}

// buffer is a log that may be written to and read at the same time.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// allowedUID is in the socket's group (testGroup) and deniedUID is not.
const (
	allowedUID = 71000
	otherUID   = 71001
	deniedUID  = 71002
	testGroup  = 71900
)

// serve serves f on a real socket, which lets everybody connect so that the code,
// and not the mode, decides; the mode has a test of its own.
func serve(t *testing.T, f Bottles) (socket string, log *buffer) {
	t.Helper()
	dir, err := os.MkdirTemp("", "bottled-api-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(socket, 0, testGroup); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	log = new(buffer)
	s := NewServer(f, slog.New(slog.NewTextHandler(log, nil)))
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return socket, log
}

// raw sends bytes, and files with the first of them, and returns all that comes back.
func raw(t *testing.T, socket, request string, files ...*os.File) string {
	t.Helper()
	c := dial(t, socket)
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	var oob []byte
	if len(files) > 0 {
		oob = rights(files)
	}
	n, _, err := c.WriteMsgUnix([]byte(request), oob, nil)
	if err != nil {
		return "write: " + err.Error()
	}
	io.WriteString(c, request[n:]) // the server may have refused it by now
	answer, _ := io.ReadAll(c)
	return string(answer)
}

func dial(t *testing.T, socket string) *net.UnixConn {
	t.Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func rights(files []*os.File) []byte {
	var fds []int
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	return syscall.UnixRights(fds...)
}

// request builds one that asks for the connection to be closed.
func request(method, path, body string, headers ...string) string {
	h := strings.Join(append(headers, ""), "\r\n")
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: bottled\r\nConnection: close\r\n%sContent-Length: %d\r\n\r\n%s", method, path, h, len(body), body)
}

func statusOf(answer string) string {
	line, _, _ := strings.Cut(answer, "\r\n")
	return strings.TrimPrefix(line, "HTTP/1.1 ")
}

// do is raw for the common case.
func do(t *testing.T, socket, method, path, body string) (status, answer string) {
	t.Helper()
	a := raw(t, socket, request(method, path, body))
	_, content, _ := strings.Cut(a, "\r\n\r\n")
	return statusOf(a), content
}

// peers are what the re-executed test program can be.
var peers = map[string]func() string{
	"request": func() string {
		c := http.Client{Transport: &http.Transport{DisableKeepAlives: true,
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				return net.Dial("unix", os.Getenv("PEER_SOCKET"))
			}}}
		r, err := http.NewRequest(os.Getenv("PEER_METHOD"), "http://bottled"+os.Getenv("PEER_PATH"), strings.NewReader(os.Getenv("PEER_BODY")))
		if err != nil {
			return err.Error()
		}
		w, err := c.Do(r)
		if err != nil {
			return err.Error()
		}
		defer w.Body.Close()
		b, _ := io.ReadAll(w.Body)
		return w.Status + "\n" + string(b)
	},
}

// as makes one request as another user, over the kernel's real credentials.
func as(t *testing.T, cred syscall.Credential, socket, method, path, body string) (status, answer string) {
	t.Helper()
	return asIn(t, &syscall.SysProcAttr{Credential: &cred}, socket, method, path, body)
}

func asIn(t *testing.T, attr *syscall.SysProcAttr, socket, method, path, body string) (status, answer string) {
	t.Helper()
	cmd := exec.Command(selfCopy)
	cmd.SysProcAttr = attr
	cmd.Env = []string{"GORACE=atexit_sleep_ms=0", "BOTTLED_TEST_PEER=request", "PEER_SOCKET=" + socket, "PEER_METHOD=" + method, "PEER_PATH=" + path, "PEER_BODY=" + body}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("peer: %v: %s", err, out)
	}
	status, answer, _ = strings.Cut(string(out), "\n")
	return status, answer
}

// member is a user whose groups hold the socket's.
func member(uid uint32) syscall.Credential {
	return syscall.Credential{Uid: uid, Gid: uid, Groups: []uint32{testGroup}}
}
