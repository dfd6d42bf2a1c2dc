package proxy

import (
	"io"
	"net/http"
	"strings"
)

// adopt makes an upstream's response fit for the bottle, in place. It refuses one
// that cannot be searched for the credential that was sent: with any Content-Encoding,
// since identity was asked for (inject.go) and undoing it would mean a decoder, and its
// bombs, for upstreams that do not do as asked.
func (x *exchange) adopt(resp *http.Response) (reason, bool) {
	x.cleanResponse(resp.Header)
	var in io.Reader = resp.Body
	if x.secret != nil {
		if !identity(resp.Header["Content-Encoding"]) && mayHaveBody(x.query.Method, resp.StatusCode) {
			return reasonEncoding.because("the upstream encoded the response although identity was asked for, so it cannot be searched for the injected credential"), false
		}
		in = x.secret.Reader(resp.Body)
	}
	if len(resp.Trailer) > 0 && x.event.Protocol != "h2" {
		delete(resp.Header, "Content-Length") // HTTP/1 has trailers in chunked bodies only (RFC 9112 section 6.5)
	}
	x.stream = resp.ContentLength < 0
	resp.Body = &responseBody{x: x, resp: resp, src: resp.Body, in: in}
	for _, name := range []string{"Content-Type", "Date"} {
		if _, set := resp.Header[name]; !set {
			resp.Header[name] = nil // or net/http makes one up
		}
	}
	return reason{}, true
}

// cleanResponse makes a header of the upstream's fit for the bottle.
func (x *exchange) cleanResponse(h http.Header) {
	cleanResponse(h)
	if x.secret != nil {
		sealResponse(h)
		x.scrubbed(x.secret.Header(h))
	}
}

func (x *exchange) scrubbed(n int) {
	if n > 0 {
		x.event.Scrubbed += n
		x.s.count.scrubbed.Add(int64(n))
	}
}

// responseBody is a body on its way in: scrubbed where a credential went out,
// with its trailer cleaned, and remembering whether it came to its end.
type responseBody struct {
	x    *exchange
	resp *http.Response
	src  io.ReadCloser
	in   io.Reader
	done bool
}

func (b *responseBody) Read(p []byte) (int, error) {
	n, err := b.in.Read(p)
	b.x.idle.touch()
	if err != nil && !b.done {
		b.done = true
		if err == io.EOF {
			b.end()
		} else {
			b.x.readErr = err
		}
	}
	return n, err
}

// end counts what was scrubbed and cleans the trailer, which is there now.
func (b *responseBody) end() {
	if found, ok := b.in.(interface{ Found() int }); ok {
		b.x.scrubbed(found.Found())
	}
	if len(b.resp.Trailer) == 0 {
		return
	}
	clean := cleanTrailer(b.resp.Trailer)
	if b.x.secret != nil {
		sealResponse(clean)
		b.x.scrubbed(b.x.secret.Header(clean))
	}
	b.resp.Trailer = clean
}

func (b *responseBody) Close() error { return b.src.Close() }

func identity(codings []string) bool {
	for _, c := range codings {
		if c != "" && !strings.EqualFold(c, "identity") {
			return false
		}
	}
	return true
}

func mayHaveBody(method string, status int) bool {
	return method != http.MethodHead && status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
