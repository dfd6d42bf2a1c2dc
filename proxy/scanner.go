package proxy

import (
	"fmt"
	"io"
	"net/http"

	"bottled/audit"
	"bottled/routes"
)

// A Scanner judges what leaves a bottle, after the route table allowed it. It is
// safe for concurrent use.
type Scanner interface {
	// Scan begins with a request's method, authority, target and header, as they
	// will be sent but without the injected credential. It may overwrite values of
	// the header, and keeps none of it after the call. A *[Blocked] refuses before
	// anything is dialled; then there is no Scan.
	Scan(q routes.Query, route *routes.Route, header http.Header) (Scan, *Blocked)
}

// A Scan follows one request to its end. Body is called at most once, Frame by one
// goroutine, and Close by any, also while the body is being read.
type Scan interface {
	// Body returns src as it may leave. It may hold bytes back, at most as many as it
	// must to judge them, and overwrite them, but not change their number: length is
	// what was declared, or -1. The last byte comes after the verdict on the whole
	// body, and on the trailer, which is asked for at the end and whose values may
	// be overwritten. A *[Blocked] error ends the request: what was held back never
	// leaves, and the upstream sees an aborted body.
	Body(src io.Reader, length int64, trailer func() http.Header) io.Reader
	// Frame takes a piece of a WebSocket frame's payload, unmasked, before it
	// leaves; last is the end of a message or control frame.
	Frame(opcode byte, last bool, p []byte) *Blocked
	// Close ends the Scan and returns all that was found, passed or not, the worst
	// first. What is read from the body afterwards is an error.
	Close() []Finding
}

// Finding says what was found and where. Nothing in it shows the match.
type Finding struct {
	Rule        string // its id
	Where       string // the part of the request, for a person
	Fingerprint string // tells an operator which matches are the same
	Part        Part
}

// Part is a part of a request that events repeat.
type Part uint8

// The parts. What was found in any other is shown by no event.
const (
	PartOther Part = iota
	PartMethod
	PartAuthority
	PartPath
)

// Blocked is a Scanner's refusal.
type Blocked struct {
	Finding
	Detail string // for the agent; neither the pattern nor the match
}

func (b *Blocked) Error() string { return fmt.Sprintf("blocked by rule %q: %s", b.Rule, b.Detail) }

// found writes findings down, and takes what would show the match out of e.
func found(e *audit.Event, list ...Finding) {
	for i, f := range list {
		if i == 0 {
			e.Rule, e.Where, e.Fingerprint = f.Rule, f.Where, f.Fingerprint
		}
		switch f.Part {
		case PartMethod:
			e.Method = ""
		case PartAuthority:
			e.Authority, e.SNI = e.Route, ""
		case PartPath:
			e.Path = audit.Path{}
		}
	}
}
