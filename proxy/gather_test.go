package proxy

import (
	"bytes"
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// slow is a connection that takes a write when somebody receives it from took.
type slow struct {
	net.Conn
	took    chan []byte
	expired chan struct{}
	closed  bool
}

func newSlow() *slow { return &slow{took: make(chan []byte), expired: make(chan struct{})} }

func (s *slow) Write(p []byte) (int, error) {
	select {
	case s.took <- bytes.Clone(p):
		return len(p), nil
	case <-s.expired:
		return 0, os.ErrDeadlineExceeded
	}
}

func (s *slow) SetWriteDeadline(t time.Time) error {
	time.AfterFunc(time.Until(t), func() { close(s.expired) })
	return nil
}

func (s *slow) Close() error { s.closed = true; return nil }

func TestGatherTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newSlow()
		g := newGather(conn)
		g.Write([]byte("a"))
		synctest.Wait() // it is being written, and waits for the peer
		for _, s := range []string{"b", "c", "d"} {
			if n, err := g.Write([]byte(s)); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		for _, want := range []string{"a", "bcd"} {
			if got := string(<-conn.took); got != want {
				t.Errorf("%q was written in one piece, instead of %q", got, want)
			}
		}
		synctest.Wait()
		g.Write([]byte("e"))
		if got := string(<-conn.took); got != "e" {
			t.Errorf("%q was written after a pause, instead of %q", got, "e")
		}
	})
}

func TestGatherBound(t *testing.T) {
	for name, size := range map[string]int{"small": 1, "large": gatherSmall} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := newSlow()
				g := newGather(conn)
				g.Write([]byte("a"))
				synctest.Wait()
				fill(g)
				over := make(chan error, 1)
				go func() { _, err := g.Write(make([]byte, size)); over <- err }()
				synctest.Wait()
				select {
				case err := <-over:
					t.Fatal("a write did not wait for what was before it:", err)
				default:
				}
				for _, want := range []int{1, gatherMost, size} {
					if n := len(<-conn.took); n != want {
						t.Errorf("%d bytes in one piece, instead of %d", n, want)
					}
				}
				if err := <-over; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// fill writes all that may wait.
func fill(g *gather) {
	for range gatherMost / 1024 {
		g.Write(make([]byte, 1024))
	}
}

// What is small waits for nothing but the large write that is under way.
func TestGatherBehindLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newSlow()
		g := newGather(conn)
		large := make(chan error, 1)
		go func() { _, err := g.Write(make([]byte, gatherSmall)); large <- err }()
		synctest.Wait()
		for _, s := range []string{"a", "b"} {
			g.Write([]byte(s))
		}
		if n := len(<-conn.took); n != gatherSmall {
			t.Errorf("%d bytes of the large write", n)
		}
		if got := string(<-conn.took); got != "ab" {
			t.Errorf("%q was written after it", got)
		}
		if err := <-large; err != nil {
			t.Error(err)
		}
	})
}

func TestGatherClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newSlow()
		g := newGather(conn)
		g.Write([]byte("last words"))
		go func() {
			if got := string(<-conn.took); got != "last words" {
				t.Errorf("%q was written", got)
			}
		}()
		if err := g.Close(); err != nil || !conn.closed {
			t.Error("closed:", conn.closed, err)
		}
		if _, err := g.Write([]byte("more")); !errors.Is(err, net.ErrClosed) {
			t.Error("a write after the end:", err)
		}
	})
}

func TestGatherStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, start := newSlow(), time.Now()
		g := newGather(conn)
		g.Write([]byte("a"))
		synctest.Wait()
		fill(g)
		waiting := make(chan error, 1)
		go func() { _, err := g.Write([]byte("b")); waiting <- err }()
		synctest.Wait()
		if err := g.Close(); err != nil || !conn.closed || time.Since(start) > gatherEnd {
			t.Error("closed:", conn.closed, err, "after", time.Since(start))
		}
		if err := <-waiting; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the write that waited:", err)
		}
		if _, err := g.Write([]byte("c")); err == nil {
			t.Error("a write after an error succeeds")
		}
	})
}

// A deadline in the past, which crypto/tls sets before it closes, takes nothing with it.
func TestGatherPastDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newSlow()
		g := newGather(conn)
		g.Write([]byte("last words"))
		synctest.Wait() // they are being written
		if err := g.SetWriteDeadline(time.Now()); err != nil {
			t.Fatal(err)
		}
		got := make(chan string, 1)
		go func() { synctest.Wait(); got <- string(<-conn.took) }()
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		if s := <-got; s != "last words" {
			t.Errorf("%q was written", s)
		}
	})
}
