package h1

import (
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const uploadBuffer = 32 << 10 // bytes

var uploadBuffers = sync.Pool{New: func() any { return new([uploadBuffer]byte) }}

// ready reports whether reading a body to its end waits for nobody: there is none, or
// it has a method Ready that says so.
func ready(body io.Reader) bool {
	if body == nil || body == http.NoBody {
		return true
	}
	r, ok := body.(interface{ Ready() bool })
	return ok && r.Ready()
}

// upload is the body of a request that goes out while the response may already come: an
// upstream need not read all of a body to answer.
type upload struct {
	done  chan struct{}
	sent  bool                      // all of it; once done
	broke atomic.Pointer[readError] // reading the body; set before the connection ends for it
}

// upload sends the head that was written and the body of r. A body that breaks off ends
// the connection, so that the upstream does not take it for whole.
func (c *conn) upload(r *http.Request, wait time.Duration) *upload {
	u := &upload{done: make(chan struct{})}
	go func() {
		defer close(u.done)
		defer func() {
			if recover() != nil {
				u.broke.Store(&readError{io.ErrUnexpectedEOF})
				c.link.Close()
			}
		}()
		err := c.writeBody(r)
		if err == nil {
			err = c.out.Flush()
		}
		switch read, broken := err.(*readError); {
		case broken:
			u.broke.Store(read)
			c.link.Close()
		case err == nil:
			u.sent = true
			c.awaitAnswer(wait)
		}
	}()
	return u
}

// cause is why the upload broke off, if it did, or err.
func (u *upload) cause(err error) error {
	if u != nil {
		if read := u.broke.Load(); read != nil {
			return read
		}
	}
	return err
}

// complete reports whether all was sent. The last of it may just be on its way.
func (u *upload) complete() bool {
	if u == nil {
		return true
	}
	const grace = 50 * time.Millisecond
	select {
	case <-u.done:
	case <-time.After(grace):
		return false
	}
	return u.sent
}

// readError is one of reading a body, not of writing it.
type readError struct{ error }

// Unwrap is for errors.As.
func (e *readError) Unwrap() error { return e.error }

// writeBody writes the body of r, whose head was written. What waits for more of the body
// is flushed before.
func (c *conn) writeBody(r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	buf := uploadBuffers.Get().(*[uploadBuffer]byte)
	defer uploadBuffers.Put(buf)
	now := ready(r.Body)
	if !now {
		if err := c.out.Flush(); err != nil {
			return err
		}
	}
	for left := r.ContentLength; ; {
		n, err := r.Body.Read(buf[:])
		if n > 0 {
			if left >= 0 && int64(n) > left {
				return &readError{http.ErrContentLength}
			}
			if werr := c.writePiece(buf[:n], left < 0); werr != nil {
				return werr
			}
			if left >= 0 {
				left -= int64(n)
			}
			if !now && err == nil {
				if werr := c.out.Flush(); werr != nil {
					return werr
				}
			}
		}
		switch {
		case err == io.EOF && left > 0:
			return &readError{io.ErrUnexpectedEOF}
		case err == io.EOF && left < 0:
			_, err = c.out.WriteString("0\r\n\r\n")
			return err
		case err == io.EOF:
			return nil
		case err != nil:
			return &readError{err}
		}
	}
}

// writePiece writes p, as a chunk or as it is.
func (c *conn) writePiece(p []byte, chunk bool) error {
	if !chunk {
		_, err := c.out.Write(p)
		return err
	}
	_, _ = c.out.Write(append(strconv.AppendInt(c.out.AvailableBuffer(), int64(len(p)), 16), "\r\n"...)) // the error stays with out
	_, _ = c.out.Write(p)
	_, err := c.out.WriteString("\r\n")
	return err
}
