package proxy

import (
	"maps"
	"net/http"
	"net/textproto"
	"sync"
)

// interim passes 1xx responses on (RFC 9110 section 15.2) until the final one
// comes. The transport calls it from a goroutine of its own.
type interim struct {
	x    *exchange
	w    http.ResponseWriter
	mu   sync.Mutex
	over bool
	seen int
}

func (i *interim) got(code int, header textproto.MIMEHeader) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.seen++
	// net/http itself says 100 when the body is first read, and 101 is no interim
	// response of a request that asked for no upgrade.
	if i.over || i.x.decision.Route.Sealed || i.seen > i.x.s.cfg.Limits.Interim || code == http.StatusContinue || code == http.StatusSwitchingProtocols {
		return nil
	}
	h := http.Header(header).Clone()
	i.x.cleanResponse(h)
	maps.Copy(i.w.Header(), h)
	i.w.WriteHeader(code)
	clear(i.w.Header())
	return nil
}

// end stops passing; the final response is about to be written.
func (i *interim) end() {
	i.mu.Lock()
	i.over = true
	i.mu.Unlock()
}
