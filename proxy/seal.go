package proxy

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// Sealed is the JSON body in place of a response to a route that is sealed.
type Sealed struct {
	Sealed    bool   `json:"sealed"` // always true
	Status    int    `json:"status"` // the upstream's
	Detail    string `json:"detail"`
	RequestID string `json:"request_id"`
}

// seal leaves of a response its status: what a new token could be in, or what could tell
// of one (its length, the headers, when the body came), stays outside.
func (x *exchange) seal(resp *http.Response) {
	resp.Body.Close() // unread: the upstream did what it was asked
	text, err := json.Marshal(Sealed{
		Sealed: true, Status: resp.StatusCode, RequestID: x.event.RequestID,
		Detail: "the upstream answered; the route is sealed, so that its response does not enter the bottle",
	})
	if err != nil { // strings only: cannot fail
		panic(err)
	}
	text = append(text, '\n')
	x.event.Sealed = true
	resp.Trailer, resp.ContentLength = nil, int64(len(text))
	clear(resp.Header)
	resp.Header.Set("Content-Type", "application/json")
	resp.Header.Set("Cache-Control", "no-store")
	resp.Header.Set("X-Request-Id", x.event.RequestID)
	resp.Header["Date"] = nil // or net/http makes one up
	resp.Body = http.NoBody
	if mayHaveBody(x.query.Method, resp.StatusCode) {
		resp.Header.Set("Content-Length", strconv.Itoa(len(text)))
		resp.Body = io.NopCloser(bytes.NewReader(text))
	}
}
