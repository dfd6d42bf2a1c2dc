package proxy

import (
	"io"
	"net/http"
	"strconv"
	"sync"
)

const copyBuffer = 64 << 10 // bytes

var copyBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// responseWriter is what the pipeline writes to. The head and the bytes are flushed as
// they come, but not what more is there to follow, nor the last bytes of a body whose
// length is known: a small response leaves in one write.
type responseWriter struct {
	http.ResponseWriter
	x       *exchange
	status  int
	written int64
	length  int64 // of the body, or -1
}

// Unwrap is for http.ResponseController.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush implements http.Flusher.
func (w *responseWriter) Flush() {
	if f, ok := w.ResponseWriter.(http.Flusher); ok && w.x.why == nil {
		f.Flush()
	}
}

// WriteHeader drops the pipeline's own error page: the exchange has a reason for
// it and says it better.
func (w *responseWriter) WriteHeader(status int) {
	if w.x.why != nil {
		return
	}
	w.status, w.length = status, -1
	if n, err := strconv.ParseInt(w.Header().Get("Content-Length"), 10, 64); err == nil {
		w.length = n
	}
	w.ResponseWriter.WriteHeader(status)
	if w.x.stream && !w.x.more() {
		w.Flush() // the first byte may wait for what the client does with the head
	}
}

func (w *responseWriter) Write(p []byte) (int, error) {
	if w.x.why != nil {
		return len(p), nil
	}
	n, err := w.ResponseWriter.Write(p)
	w.written += int64(n)
	w.x.idle.touch()
	return n, err
}

// ReadFrom copies a body. It implements io.ReaderFrom, which io.Copy prefers.
func (w *responseWriter) ReadFrom(src io.Reader) (int64, error) {
	buf := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buf)
	var total int64
	for {
		n, err := src.Read(buf[:])
		if n > 0 {
			wrote, werr := w.Write(buf[:n])
			total += int64(wrote)
			if werr != nil {
				return total, werr
			}
			if total != w.length && err == nil && !w.x.more() {
				w.Flush()
			}
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}
