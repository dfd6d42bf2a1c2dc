package h1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// What is taken for a request, net/http takes for the same one: method, target, host,
// fields, and where the head ends and how long the body is. It takes more.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /x?y HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Type: text/plain\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X, y\r\n\r\n1\r\na\r\n0\r\nX: z\r\n\r\n",
		"GET http://a/ HTTP/1.0\r\nConnection: keep-alive, x\r\nx: 1\r\nX: 2\r\n\r\n",
		"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
		"PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
		"GET / HTTP/1.1\nHost: a\n\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	base := &http.Request{ProtoMajor: 1, Body: http.NoBody}
	f.Fuzz(func(t *testing.T, sent []byte) {
		in := bufio.NewReaderSize(bytes.NewReader(sent), 64)
		head, err := appendHead(nil, in, 1<<16, true)
		if err != nil || len(head) == 0 {
			return
		}
		ours, err := parseRequest(base, string(head))
		if err != nil {
			return
		}
		left, _ := io.ReadAll(in)
		other := bytes.NewReader(sent)
		reader := bufio.NewReader(other)
		theirs, err := http.ReadRequest(reader)
		var bad *url.Error
		switch {
		case errors.As(err, &bad), err != nil && strings.Contains(err.Error(), "URI"):
			return // net/http reads the target, which is not done here
		case err != nil:
			t.Fatalf("%q: net/http: %v", sent, err)
		}
		rest, _ := io.ReadAll(reader)
		if !bytes.Equal(left, rest) {
			t.Fatalf("%q: the head ends elsewhere", sent)
		}
		host := theirs.Host
		if theirs.URL.Host != "" { // of an absolute target, or of CONNECT
			host = ours.Host
		}
		if ours.Method != theirs.Method || ours.RequestURI != theirs.RequestURI || ours.Host != host ||
			ours.ContentLength != theirs.ContentLength || ours.ProtoMinor != theirs.ProtoMinor || len(ours.Trailer) != len(theirs.Trailer) {
			t.Fatalf("%q:\n%+v\n%+v", sent, ours, theirs)
		}
		for _, h := range []http.Header{ours.Header, theirs.Header} { // net/http derives one of them from Pragma
			delete(h, "Cache-Control")
			delete(h, "Connection")
			delete(h, "Trailer")
		}
		if !reflect.DeepEqual(ours.Header, theirs.Header) {
			t.Fatalf("%q:\n%v\n%v", sent, ours.Header, theirs.Header)
		}
	})
}

// The head of a response is read as net/http reads it, where both take it.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.0 204 No Content\nX: a\n\tb\n\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.0 200 OK\r\n\r\nuntil the end",
	} {
		f.Add([]byte(seed))
	}
	request := &http.Request{Method: http.MethodGet}
	f.Fuzz(func(t *testing.T, sent []byte) {
		in := bufio.NewReader(bytes.NewReader(sent))
		head, err := appendHead(nil, in, 1<<16, false)
		if err != nil {
			return
		}
		ours, err := parseResponse(request, string(head))
		if err != nil {
			return
		}
		theirs, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(sent)), request)
		if err != nil {
			return
		}
		none := ours.StatusCode < 200 || ours.StatusCode == 204 || ours.StatusCode == 304 // whatever they say of a body
		if ours.StatusCode != theirs.StatusCode ||
			!none && (ours.ContentLength != theirs.ContentLength || isChunked(ours.TransferEncoding) != isChunked(theirs.TransferEncoding)) {
			t.Fatalf("%q:\n%+v\n%+v", sent, ours, theirs)
		}
		for _, h := range []http.Header{ours.Header, theirs.Header} {
			delete(h, "Cache-Control")
			delete(h, "Connection")
			delete(h, "Trailer")
			for _, values := range h {
				for i, v := range values {
					values[i] = strings.Join(strings.Fields(v), " ") // a fold is some space
				}
			}
		}
		if !reflect.DeepEqual(ours.Header, theirs.Header) {
			t.Fatalf("%q:\n%v\n%v", sent, ours.Header, theirs.Header)
		}
	})
}
