package proxy

import (
	"fmt"
	"net/http"

	"bottled/routes"
)

// A Scanner judges what leaves a bottle, after the route table allowed it. It is
// safe for concurrent use.
type Scanner interface {
	// Scan begins with a request's method, authority, target and header, as they
	// will be sent but without the injected credential. The header may be read
	// during the call only. A *[Blocked] refuses before anything is dialled.
	Scan(q routes.Query, route *routes.Route, header http.Header) (Scan, *Blocked)
}

// A Scan follows one request to its end. Its methods are called one at a time.
type Scan interface {
	// Body takes the next bytes of the body and returns those that may leave now.
	// It may hold bytes back, at most as many as it must to judge them, and change
	// them, but not their number. A *Blocked ends the request: what was held back
	// never leaves, and the upstream sees an aborted body.
	Body(p []byte) ([]byte, *Blocked)
	// End takes the trailer, after the body's last byte, and returns what was held
	// back. A body that must be judged whole is judged here.
	End(trailer http.Header) ([]byte, *Blocked)
	// Frame takes a piece of a WebSocket frame's payload, unmasked, before it
	// leaves; last is the end of a message or control frame.
	Frame(opcode byte, last bool, p []byte) *Blocked
}

// Blocked is a Scanner's refusal.
type Blocked struct {
	Rule   string // id of the rule; goes to the agent and to the audit
	Detail string // for the agent; neither the pattern nor the match
}

func (b *Blocked) Error() string { return fmt.Sprintf("blocked by rule %q: %s", b.Rule, b.Detail) }
