package client

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"bottled/api"
	"bottled/bottle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a daemon's Bottles of which only what the tests call is there.
type echo struct {
	api.Bottles
	leases chan error
}

func (echo) Create(_ context.Context, c bottle.Caller, o bottle.CreateOptions) (bottle.Info, error) {
	defer o.Stdio.Close()
	if o.Name == "taken" {
		return bottle.Info{}, errors.Join(bottle.ErrConflict)
	}
	if o.Stdio.Streams[1] != nil {
		io.Copy(o.Stdio.Streams[1], o.Stdio.Streams[0])
	}
	return bottle.Info{ID: "i", Name: o.Name, Owner: c.UID}, nil
}

func (e echo) Wait(ctx context.Context, _ bottle.Caller, _ string, attached bool) (bottle.Exit, error) {
	if attached {
		<-ctx.Done()
		e.leases <- ctx.Err()
	}
	return bottle.Exit{Code: 143, Signal: 15, Reason: "stopped"}, nil
}

func serve(t *testing.T) (*Client, echo, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run", "s")
	l, err := api.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	e := echo{leases: make(chan error, 1)}
	s := api.NewServer(e, nil)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	c := New(path)
	t.Cleanup(func() { c.Close(); s.Close(); <-done })
	return c, e, path
}

func TestFilesGoAlong(t *testing.T) {
	c, _, _ := serve(t)
	inR, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	inW.WriteString("through the bottle")
	inW.Close()
	// Long enough that one sendmsg(2) does not take the request whole.
	r := api.CreateRequest{Name: "b", Manifest: "#" + strings.Repeat("x", 900_000), Command: []string{"cat"}, Dir: "/"}
	b, err := c.Create(context.Background(), r, inR, outW, outW)
	if err != nil || b.Name != "b" {
		t.Fatalf("%+v %v", b, err)
	}
	inR.Close()
	outW.Close()
	if out, err := io.ReadAll(outR); string(out) != "through the bottle" || err != nil {
		t.Errorf("%q %v", out, err)
	}
	outR.Close()
}

func TestErrorsSpeak(t *testing.T) {
	c, _, _ := serve(t)
	ctx := context.Background()
	_, err := c.Create(ctx, api.CreateRequest{Name: "taken", Manifest: "v", Command: []string{"a"}, Dir: "/"})
	var e *Error
	if !errors.As(err, &e) || e.Status != 409 || Code(err) != "conflict" || e.RequestID == "" {
		t.Errorf("%#v", err)
	}
	if _, err := c.Inspect(ctx, "../x"); Code(err) != "invalid" {
		t.Errorf("%v", err)
	}
	none := New(filepath.Join(t.TempDir(), "none"))
	if _, err := none.Version(ctx); !errors.Is(err, ErrNoDaemon) || !strings.Contains(err.Error(), "sudo systemctl start bottled") {
		t.Errorf("%v", err)
	}
	if Code(io.EOF) != "" {
		t.Error("a code in an error that has none")
	}
}

func TestWaitAndItsLease(t *testing.T) {
	c, e, _ := serve(t)
	exit, err := c.Wait(context.Background(), "i", false)
	if err != nil || exit != (api.Exit{Code: 143, Signal: 15, Reason: "stopped"}) {
		t.Errorf("%+v %v", exit, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(100*time.Millisecond, cancel)
	if _, err := c.Wait(ctx, "i", true); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	select {
	case <-e.leases:
	case <-time.After(5 * time.Second):
		t.Error("the daemon did not notice")
	}
}

// A daemon that dies in the middle is told from one that answers.
func TestLostConnection(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			c.Close()
		}
	}()
	c := New(path)
	defer c.Close()
	if _, err := c.Version(context.Background()); !errors.Is(err, ErrLost) {
		t.Errorf("%v", err)
	}
}
