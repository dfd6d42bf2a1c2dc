package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

var errBody = errors.New("the request's body could not be judged")

// requestBody is a body on its way out: counted, scanned, and cut off when the
// scanner refuses.
type requestBody struct {
	x    *exchange
	in   io.Reader // what may leave of src
	src  io.Closer
	sent atomic.Int64
}

// newRequestBody returns src as it leaves. trailer is called after its last byte;
// nil: there is none.
func (x *exchange) newRequestBody(src io.ReadCloser, length int64, trailer func() http.Header) *requestBody {
	b := &requestBody{x: x, src: src}
	switch {
	case x.scan != nil:
		b.in = x.scan.Body(src, length, trailer)
	case trailer != nil:
		b.in = &trailed{src, trailer}
	default:
		b.in = src
	}
	return b
}

// Ready reports whether reading waits for nobody: all of what the client sends is there.
func (b *requestBody) Ready() bool {
	src, ok := b.src.(interface{ Ready() bool })
	return ok && src.Ready()
}

func (b *requestBody) Close() error { return b.src.Close() }

// Read is called by goroutines of transports too, where nobody else would take a panic.
func (b *requestBody) Read(p []byte) (n int, err error) {
	defer func() {
		if recover() != nil {
			b.x.s.count.panics.Add(1)
			n, err = 0, errBody
		}
	}()
	n, err = b.in.Read(p)
	b.sent.Add(int64(n))
	b.x.idle.touch()
	return n, err
}

// trailed asks for the trailer when the body is over.
type trailed struct {
	io.Reader
	trailer func() http.Header
}

func (t *trailed) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	if err == io.EOF {
		t.trailer()
	}
	return n, err
}
