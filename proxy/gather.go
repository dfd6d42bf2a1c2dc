package proxy

import (
	"net"
	"runtime"
	"sync"
	"time"
)

const (
	gatherSmall = 4 << 10     // a write of fewer bytes waits for others
	gatherMost  = 32 << 10    // bytes that wait together
	gatherKept  = 8 << 10     // bytes of a buffer that is kept while nothing waits
	gatherEnd   = time.Second // for what waits when the connection is closed
)

// gather is a connection whose small writes leave together: what is written while others
// have something to write as well goes out in one piece. HTTP/2 flushes after each frame
// of which it knows no follower, and on a connection that many requests share each flush
// would be a record and a system call of its own.
//
// A small Write that succeeded has not left, as with a socket's own buffer: the error
// comes with a later one. Nothing waits for more to come, and Close writes what waits. It
// is safe for concurrent use.
type gather struct {
	net.Conn

	mu      sync.Mutex
	changed sync.Cond // any of what follows
	waits   []byte
	spare   []byte // a buffer for waits, while the other is written
	writing bool   // somebody writes to Conn, who begins flush for what waits then
	err     error
}

func newGather(c net.Conn) *gather {
	g := &gather{Conn: c}
	g.changed.L = &g.mu
	return g
}

// Write waits while there are gatherMost bytes before p, and a large one until all
// of them have left.
func (g *gather) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(p) >= gatherSmall {
		for g.err == nil && g.writing {
			g.changed.Wait()
		}
		if g.err != nil {
			return 0, g.err
		}
		g.writing = true
		n, err := g.send(p)
		g.done()
		return n, err
	}
	for g.err == nil && len(g.waits)+len(p) > gatherMost {
		g.changed.Wait()
	}
	if g.err != nil {
		return 0, g.err
	}
	g.waits = append(g.waits, p...)
	if !g.writing {
		g.writing = true
		go g.flush()
	}
	return len(p), nil
}

// send writes p, for the one who set writing. The caller holds the lock, others may
// have it meanwhile.
func (g *gather) send(p []byte) (int, error) {
	g.mu.Unlock()
	n, err := g.Conn.Write(p)
	g.mu.Lock()
	if g.err == nil {
		g.err = err
	}
	g.changed.Broadcast()
	return n, err
}

// flush writes until nothing waits any more.
func (g *gather) flush() {
	runtime.Gosched() // to who is about to write too
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.waits) > 0 && g.err == nil {
		out := g.waits
		g.waits, g.spare = g.spare[:0], nil
		_, _ = g.send(out) // the error is in err
		if cap(out) <= gatherKept {
			g.spare = out
		}
	}
	g.done()
}

// done ends the writing, or has flush go on with it. The caller holds the lock.
func (g *gather) done() {
	switch {
	case g.err != nil:
		g.waits, g.spare, g.writing = nil, nil, false
	case len(g.waits) > 0:
		go g.flush()
	default:
		g.writing = false
		if cap(g.waits) > gatherKept {
			g.waits = nil
		}
	}
	g.changed.Broadcast()
}

// SetWriteDeadline lets what waits leave: crypto/tls ends all writing with a deadline in
// the past right before it closes, which has a bound of its own here.
func (g *gather) SetWriteDeadline(t time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.writing && !t.IsZero() && !t.After(time.Now()) {
		return nil
	}
	return g.Conn.SetWriteDeadline(t)
}

// Close writes what waits, within gatherEnd, and closes the connection.
func (g *gather) Close() error {
	g.mu.Lock()
	if g.writing {
		_ = g.Conn.SetWriteDeadline(time.Now().Add(gatherEnd))
	}
	for g.writing {
		g.changed.Wait()
	}
	if g.err == nil {
		g.err = net.ErrClosed
	}
	g.mu.Unlock()
	return g.Conn.Close()
}
