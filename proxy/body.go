package proxy

import (
	"io"
	"net/http"
	"sync/atomic"
)

// requestBody is a body on its way out: counted, scanned, and cut off when the
// scanner refuses.
type requestBody struct {
	x       *exchange
	src     io.ReadCloser
	trailer func() http.Header // after the last byte; nil: no trailer
	sent    atomic.Int64

	judged []byte // may leave and did not fit yet
	err    error
	block  atomic.Pointer[Blocked]
}

func (b *requestBody) blocked() *Blocked { return b.block.Load() }

func (b *requestBody) Close() error { return b.src.Close() }

func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.read(p)
	b.sent.Add(int64(n))
	b.x.idle.touch()
	return n, err
}

func (b *requestBody) read(p []byte) (int, error) {
	if b.x.scan == nil {
		n, err := b.src.Read(p)
		if err == io.EOF && b.trailer != nil {
			b.trailer()
		}
		return n, err
	}
	for len(b.judged) == 0 && b.err == nil {
		n, err := b.src.Read(p)
		out, blocked := b.x.scan.Body(p[:n])
		if blocked == nil && err == io.EOF {
			var rest []byte
			var t http.Header
			if b.trailer != nil {
				t = b.trailer()
			}
			out = append([]byte(nil), out...)
			rest, blocked = b.x.scan.End(t)
			out = append(out, rest...)
		}
		if blocked != nil {
			b.block.Store(blocked)
			b.err = blocked
			return 0, blocked
		}
		b.judged, b.err = append(b.judged[:0], out...), err
	}
	n := copy(p, b.judged)
	b.judged = b.judged[n:]
	if len(b.judged) > 0 {
		return n, nil
	}
	return n, b.err
}
