package h1

import (
	"io"
	"net/http"
	"net/http/httputil"
	"sync"
	"sync/atomic"
)

// maxTrailer bounds the trailer of a request, in bytes.
const maxTrailer = 64 << 10

// incoming is the body of a request, read from the session. Read may be called from
// another goroutine than the session's; the session takes it back with release.
type incoming struct {
	mu       sync.Mutex
	s        *session
	r        *http.Request
	src      io.Reader // chunks; nil: length says where the body ends
	left     int64     // of a length
	err      error     // what every further Read returns
	released bool
	whole    atomic.Bool // read to its end
	expect   atomic.Bool // the client waits for a 100; see session.proceed
}

func newIncoming(s *session, r *http.Request) *incoming {
	b := &incoming{s: s, r: r, left: r.ContentLength}
	b.expect.Store(r.ProtoMinor > 0 && len(r.Header["Expect"]) > 0)
	if b.left < 0 {
		b.src = httputil.NewChunkedReader(s.in)
	}
	return b
}

// Ready reports whether all of the body is in memory, so that reading it to its end
// waits for nobody.
func (b *incoming) Ready() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.released && !b.expect.Load() && b.src == nil && b.left <= int64(b.s.in.Buffered())
}

func (b *incoming) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.released {
		return 0, http.ErrBodyReadAfterClose
	}
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	if b.expect.Swap(false) {
		b.s.proceed()
	}
	n, err := b.read(p)
	if err == io.EOF {
		b.whole.Store(true)
	}
	b.err = err
	return n, err
}

func (b *incoming) read(p []byte) (int, error) {
	if b.src == nil {
		n, err := b.s.in.Read(p[:min(int64(len(p)), b.left)])
		switch b.left -= int64(n); {
		case b.left == 0:
			return n, io.EOF
		case err == io.EOF:
			err = io.ErrUnexpectedEOF
		}
		return n, err
	}
	n, err := b.src.Read(p)
	if err == io.EOF {
		err = b.trailer()
	}
	return n, err
}

// trailer reads what follows the last chunk (RFC 9112 section 7.1.2). Its fields join
// those that were announced.
func (b *incoming) trailer() error {
	text, err := appendHead(nil, b.s.in, maxTrailer, true)
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	fields, err := parseFields(string(text), true)
	if err != nil {
		return err
	}
	for name, values := range fields {
		if b.r.Trailer == nil {
			b.r.Trailer = http.Header{}
		}
		b.r.Trailer[name] = values
	}
	return io.EOF
}

// Close leaves the rest unread; what becomes of it is the session's business.
func (b *incoming) Close() error { return nil }

// release ends the reading for good, and waits for a Read that is under way, which
// interrupt must make return.
func (b *incoming) release(interrupt func()) {
	if !b.mu.TryLock() {
		interrupt()
		b.mu.Lock()
	}
	b.released = true
	b.mu.Unlock()
}

// drain reads what is left after a release, up to max bytes, and reports whether that
// was all.
func (b *incoming) drain(max int64) bool {
	if b.whole.Load() {
		return true
	}
	if b.err != nil || b.expect.Load() || b.left > max {
		return false
	}
	buf := make([]byte, 4<<10)
	for ; max > 0; max -= int64(len(buf)) {
		_, err := b.read(buf)
		if err != nil {
			return err == io.EOF
		}
	}
	return false
}

// source is what a session's reader reads from: the connection, after the bytes that
// watches may have read of it.
type source struct {
	io.Reader
	early []byte
}

func (s *source) Read(p []byte) (int, error) {
	if len(s.early) > 0 && len(p) > 0 {
		n := copy(p, s.early)
		s.early = s.early[n:]
		return n, nil
	}
	return s.Reader.Read(p)
}
