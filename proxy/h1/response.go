package h1

import (
	"bufio"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// response is what a Handler answers a request with. It is used by one goroutine;
// interim responses may come from another one before the final status. It guesses no
// Content-Type.
type response struct {
	n        *session
	r        *http.Request
	header   http.Header
	status   int   // 0: not set
	begun    bool  // the head is written
	left     int64 // bytes of the body still to come; -1: its length is unknown
	bodiless bool
	chunked  bool
	closing  bool // the connection ends after it
	hijacked bool
}

func (w *response) Header() http.Header { return w.header }

// EnableFullDuplex says what is always so: a response may begin before the request's
// body has ended.
func (w *response) EnableFullDuplex() error { return nil }

func (w *response) WriteHeader(status int) {
	switch {
	case w.hijacked || w.status != 0:
	case status >= 100 && status < 200:
		w.interim(status)
	default:
		w.status = status
	}
}

// interim writes a 1xx response (RFC 9110 section 15.2), which HTTP/1.0 does not know. It
// has no content, so that a Content-Length could only mislead (section 8.6).
func (w *response) interim(status int) {
	n := w.n
	n.writing.Lock()
	defer n.writing.Unlock()
	if w.r.ProtoMinor == 0 {
		return
	}
	if status == http.StatusContinue && n.body != nil {
		n.body.expect.Store(false)
	}
	b := appendFields(appendStatus(n.out.AvailableBuffer(), w.r, status), w.header, ofResponse)
	_, _ = n.out.Write(append(b, "\r\n"...))
	_ = n.out.Flush() // the final response meets the error too
}

// begin writes the head. empty says that there is no body.
func (w *response) begin(empty bool) {
	n := w.n
	n.writing.Lock()
	w.begun, n.begun = true, true
	n.writing.Unlock()
	if w.status == 0 {
		w.status = http.StatusOK
	}
	noBody := w.status == http.StatusNoContent || w.status == http.StatusNotModified
	w.bodiless = noBody || w.r.Method == http.MethodHead
	w.left = -1
	if list := w.header["Content-Length"]; len(list) == 1 && w.status != http.StatusNoContent {
		if length, err := parseLength(list[0]); err == nil {
			w.left = length
		}
	}
	if w.left < 0 && empty && !w.bodiless {
		w.left = 0
	}
	w.chunked = w.left < 0 && !w.bodiless && w.r.ProtoMinor > 0
	// A client that was not told to send its body may do so or not.
	w.closing = w.closing || w.endless() || hasToken(w.header["Connection"], "close") ||
		n.body != nil && n.body.expect.Load()
	b := appendFields(appendStatus(n.out.AvailableBuffer(), w.r, w.status), w.header, ofResponse)
	if w.left >= 0 {
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), w.left, 10), "\r\n"...)
	}
	if w.chunked {
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	if _, set := w.header["Date"]; !set {
		b = append(time.Now().UTC().AppendFormat(append(b, "Date: "...), http.TimeFormat), "\r\n"...)
	}
	switch {
	case w.closing:
		b = append(b, "Connection: close\r\n"...)
	case w.r.ProtoMinor == 0:
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	_, _ = n.out.Write(append(b, "\r\n"...)) // the error stays with out
}

// endless reports whether the body goes on until the connection ends.
func (w *response) endless() bool { return w.left < 0 && !w.bodiless && !w.chunked }

// ofResponse are the fields that begin writes itself.
func ofResponse(name string) bool {
	switch name {
	case "Content-Length", "Transfer-Encoding", "Connection":
		return true
	}
	return strings.HasPrefix(name, http.TrailerPrefix)
}

func (w *response) Write(p []byte) (int, error) {
	if w.hijacked {
		return 0, http.ErrHijacked
	}
	if !w.begun {
		w.begin(false)
	}
	switch {
	case w.r.Method == http.MethodHead:
		return len(p), nil
	case w.bodiless:
		return 0, http.ErrBodyNotAllowed
	case w.left >= 0 && int64(len(p)) > w.left:
		return 0, http.ErrContentLength
	case len(p) == 0:
		return 0, nil
	}
	out := w.n.out
	if !w.chunked {
		n, err := out.Write(p)
		if w.left >= 0 {
			w.left -= int64(n)
		}
		return n, err
	}
	_, _ = out.Write(append(strconv.AppendInt(out.AvailableBuffer(), int64(len(p)), 16), "\r\n"...))
	n, err := out.Write(p)
	if err == nil {
		_, err = out.WriteString("\r\n")
	}
	return n, err
}

// Flush implements http.Flusher.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError is for http.ResponseController.
func (w *response) FlushError() error {
	if w.hijacked {
		return http.ErrHijacked
	}
	if !w.begun {
		w.begin(false)
	}
	return w.n.out.Flush()
}

// SetReadDeadline is for http.ResponseController: reading the request's body fails from then
// on. The zero time is never.
func (w *response) SetReadDeadline(t time.Time) error {
	if w.hijacked {
		return http.ErrHijacked
	}
	return w.n.setDeadline(t)
}

// finish ends the response and reports whether the client got all of it.
func (w *response) finish() bool {
	if !w.begun {
		w.begin(true)
	}
	if w.chunked {
		_, _ = w.n.out.WriteString("0\r\n")
		_, _ = w.n.out.Write(append(w.appendTrailer(w.n.out.AvailableBuffer()), "\r\n"...))
	}
	return w.n.out.Flush() == nil && (w.left <= 0 || w.bodiless)
}

// appendTrailer appends the fields that the Handler announced in Trailer or gave under
// [http.TrailerPrefix].
func (w *response) appendTrailer(b []byte) []byte {
	trailer := http.Header{}
	for _, line := range w.header["Trailer"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = http.CanonicalHeaderKey(strings.Trim(name, " \t")); len(w.header[name]) > 0 && !ofResponse(name) {
				trailer[name] = w.header[name]
			}
		}
	}
	for name, values := range w.header {
		if name, prefixed := strings.CutPrefix(name, http.TrailerPrefix); prefixed {
			trailer[name] = values
		}
	}
	return appendFields(b, trailer, nil)
}

// Hijack gives the connection to the Handler, with what was read of it.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	n := w.n
	if w.hijacked {
		return nil, nil, http.ErrHijacked
	}
	if n.body != nil {
		n.body.release(n.interrupt)
	}
	n.end()
	w.hijacked = true
	if len(n.src.early) > 0 {
		if _, err := n.in.Peek(n.in.Buffered() + 1); err != nil && err != bufio.ErrBufferFull {
			return nil, nil, err
		}
	}
	return n.conn, bufio.NewReadWriter(n.in, n.out), n.conn.SetDeadline(time.Time{})
}
