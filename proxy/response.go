package proxy

import (
	"io"
	"net/http"

	"bottled/proxy/scrub"
)

// adopt makes an upstream's response fit for the bottle, in place. From a host that is
// given a token it is searched for the bottle's tokens, without its content codings;
// one that cannot be is refused.
func (x *exchange) adopt(resp *http.Response) (reason, bool) {
	if x.decision.Route.Sealed {
		x.seal(resp)
		return reason{}, true
	}
	x.cleanResponse(resp.Header)
	x.cleanTrailer(resp) // of names that are announced
	body := &responseBody{x: x, resp: resp, src: resp.Body, in: resp.Body}
	if x.guarded {
		if why, ok := x.search(resp, body); !ok {
			return why, false
		}
	}
	if len(resp.Trailer) > 0 && x.event.Protocol != "h2" {
		delete(resp.Header, "Content-Length") // HTTP/1 has trailers in chunked bodies only (RFC 9112 section 6.5)
	}
	x.stream = resp.ContentLength < 0
	resp.Body, x.answer = body, body
	for _, name := range []string{"Content-Type", "Date"} {
		if _, set := resp.Header[name]; !set {
			resp.Header[name] = nil // or net/http makes one up
		}
	}
	return reason{}, true
}

// search has body searched for tokens as it is read. It refuses what was asked for in no
// request (narrow.go) and would hide one: a slice, a coding that is not known, messages
// that are compressed each by itself.
func (x *exchange) search(resp *http.Response, body *responseBody) (reason, bool) {
	list, err := codings(resp.Header["Content-Encoding"])
	switch {
	case resp.StatusCode == http.StatusPartialContent:
		return reasonSlice, false
	case codedMessages(resp.Header):
		return reasonEncoding.because("the upstream compressed its messages although that was not asked for, so they cannot be searched for the bottle's tokens"), false
	case err != nil && mayHaveBody(x.query.Method, resp.StatusCode):
		return reasonEncoding.because("the upstream encoded the response although identity was asked for, and it cannot be searched for the bottle's tokens: " + err.Error()), false
	}
	if resp.Header["Accept-Ranges"] != nil {
		resp.Header["Accept-Ranges"] = []string{"none"}
	}
	if len(list) > 0 {
		opened(resp.Header)
		if mayHaveBody(x.query.Method, resp.StatusCode) {
			resp.ContentLength = -1
			body.plain = undo(resp.Body, list)
			body.in = body.plain
		}
	}
	if mayHaveBody(x.query.Method, resp.StatusCode) {
		body.clean = scrub.NewReader(x.s.guard, body.in)
		body.in = body.clean
	}
	return reason{}, true
}

// cleanResponse makes a header of the upstream's fit for the bottle.
func (x *exchange) cleanResponse(h http.Header) {
	cleanResponse(h)
	x.cleanFields(h)
}

// cleanFields takes tokens and sessions out of a header or a trailer.
func (x *exchange) cleanFields(h http.Header) {
	if x.inject != nil {
		sealResponse(h)
	}
	if x.guarded {
		x.scrubbed(x.s.guard.Load().Header(h))
	}
}

// cleanTrailer makes a trailer of the upstream's fit for the bottle, or what is announced
// of it: a name can hold a token too.
func (x *exchange) cleanTrailer(resp *http.Response) {
	if len(resp.Trailer) > 0 {
		resp.Trailer = cleanTrailer(resp.Trailer)
		x.cleanFields(resp.Trailer)
	}
}

func (x *exchange) scrubbed(n int) {
	if n > 0 {
		x.event.Scrubbed += n
		x.s.count.scrubbed.Add(int64(n))
	}
}

// responseBody is a body on its way in: searched where a token may be in it, with its
// trailer cleaned, and remembering whether it came to its end.
type responseBody struct {
	x     *exchange
	resp  *http.Response
	src   io.ReadCloser
	plain *plain        // nil: there is nothing to undo
	clean *scrub.Reader // nil: it is not searched
	in    io.Reader     // the last of these
	done  bool
}

func (b *responseBody) Read(p []byte) (int, error) {
	n, err := b.in.Read(p)
	b.x.idle.touch()
	if err != nil && !b.done {
		b.end()
		if err == io.EOF {
			b.trailer()
		} else {
			b.x.readErr = err
		}
	}
	return n, err
}

// more reports whether reading the response's body waits for nobody. What is searched may
// be held back, whatever was received.
func (x *exchange) more() bool {
	if b := x.answer; b != nil && b.plain == nil && b.clean == nil {
		src, ok := b.src.(interface{ Ready() bool })
		return ok && src.Ready()
	}
	return false
}

// end counts what was scrubbed.
func (b *responseBody) end() {
	b.done = true
	if b.clean != nil {
		b.x.scrubbed(b.clean.Found())
	}
}

// trailer cleans the trailer, which is there now. One that was announced and did not come is
// none: package http2 would wait for its first field to end the stream with.
func (b *responseBody) trailer() {
	b.x.cleanTrailer(b.resp)
	for _, values := range b.resp.Trailer {
		if len(values) > 0 {
			return
		}
	}
	b.resp.Trailer = nil
}

func (b *responseBody) Close() error {
	if !b.done {
		b.end()
	}
	if b.plain != nil {
		b.plain.close()
	}
	return b.src.Close()
}

func mayHaveBody(method string, status int) bool {
	return method != http.MethodHead && status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
