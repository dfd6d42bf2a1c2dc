package proxy

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// announce has the header of r say which fields of a trailer may follow, as it will be
// sent: that leaves before the trailer is judged, and is scanned with the header.
func (x *exchange) announce(r *http.Request) {
	if r.ContentLength == 0 {
		return // no body, no trailer
	}
	if names := slices.Sorted(maps.Keys(cleanTrailer(r.Trailer, x.ownField()...))); len(names) > 0 {
		r.Header["Trailer"] = []string{strings.Join(names, ",")}
	}
}

// attachTrailer puts what was announced of the trailer of r on out, and returns what
// fills in the values when the body is over; nil: nothing was announced.
func (x *exchange) attachTrailer(out, r *http.Request) func() http.Header {
	list := r.Header["Trailer"]
	if len(list) == 0 {
		return nil
	}
	delete(r.Header, "Trailer") // the transport writes it
	out.Trailer = http.Header{}
	for name := range strings.SplitSeq(list[0], ",") {
		out.Trailer[name] = nil
	}
	return func() http.Header {
		for name, values := range cleanTrailer(r.Trailer, x.ownField()...) {
			if _, announced := out.Trailer[name]; announced {
				out.Trailer[name] = values
			}
		}
		return out.Trailer
	}
}

func (x *exchange) ownField() []string {
	if x.inject == nil {
		return nil
	}
	return []string{x.inject.auth.Field()}
}
