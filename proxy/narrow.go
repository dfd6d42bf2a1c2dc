package proxy

import (
	"net/http"
	"strings"
)

// narrow removes what would have a response come in a form that is searched for tokens
// at a cost, or not at all. Asking for identity is the cheapest: nothing has to be
// undone, and length, validators and digests of the response stay true.
func narrow(h http.Header) {
	for name := range h {
		if slicing(name) || strings.HasSuffix(name, "-Accept-Encoding") { // of messages: gRPC, Connect
			delete(h, name)
		}
	}
	drop(h, []string{"Accept-Charset", "A-Im"}) // A-IM (RFC 3229) asks for deltas and codings
	h["Accept-Encoding"] = []string{"identity"}
}

// slicing reports whether a request field asks for part of a response, which could be
// chosen to cut an echoed token in two: Range, and what servers take for it, such as
// Apache's Request-Range and Azure's x-ms-range. Content-Range says which part of a
// file the request's own body is.
func slicing(name string) bool {
	return name == "Range" || strings.HasSuffix(name, "-Range") && !strings.HasSuffix(name, "Content-Range")
}

// opened makes the header of a response true that lost its content coding on the way:
// it is another representation now, of a length that nobody knows (RFC 9110 sections
// 8.6 and 8.8.1, RFC 9530). That the upstream may forbid to transform it (no-transform)
// is not heeded: the alternative is to refuse it.
func opened(h http.Header) {
	drop(h, []string{"Content-Encoding", "Content-Length", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest"})
	for i, tag := range h["Etag"] {
		if strings.HasPrefix(tag, `"`) {
			h["Etag"][i] = "W/" + tag
		}
	}
}

// codedMessages reports whether a response says that the messages in it are compressed
// each by itself, as those of gRPC and Connect may be.
func codedMessages(h http.Header) bool {
	for name, values := range h {
		if (name == "Grpc-Encoding" || strings.HasSuffix(name, "-Content-Encoding")) && !identity(values) {
			return true
		}
	}
	return false
}

func identity(codings []string) bool {
	for _, c := range codings {
		if c != "" && !strings.EqualFold(c, "identity") {
			return false
		}
	}
	return true
}
