package worker

import (
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"bottled/audit"
	"bottled/dns"
)

// Bounds on the audit events about queries. A query carries nothing out, whatever
// it asks, so that only signs of one who tries are worth a line, and few of them.
const (
	queryEvents = 1  // a second, in the long run
	queryBurst  = 20 // at once
)

// ordinary are the types that resolvers of well-behaved programs ask for.
var ordinary = map[string]bool{"A": true, "AAAA": true, "HTTPS": true, "SVCB": true, "PTR": true, "TYPE64": true, "TYPE65": true}

// queries makes audit events of the odd ones among the bottle's DNS queries: what
// is malformed or refused, and types that carry data, such as TXT and NULL. An
// ordinary query has no event; its name is in that of the connection that follows.
type queries struct {
	sink    audit.Sink
	process func(server, from netip.AddrPort) audit.Process
	limit   *rate.Limiter

	mu      sync.Mutex
	skipped uint64 // over the bound since the last event
}

func newQueries(sink audit.Sink, process func(server, from netip.AddrPort) audit.Process) *queries {
	return &queries{sink: sink, process: process, limit: rate.NewLimiter(queryEvents, queryBurst)}
}

// observe is told of every query.
func (q *queries) observe(asked dns.Query) {
	if ordinary[asked.Type] && (asked.Code == "NOERROR" || asked.Code == "NXDOMAIN") {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.limit.Allow() {
		q.skipped++
		return
	}
	e := audit.Event{
		Time: time.Now(), Kind: audit.Query, Protocol: "dns", Method: asked.Type, Authority: asked.Name,
		OriginalDst: asked.Server, Process: q.process(asked.Server, asked.From), Reason: "query-" + strings.ToLower(asked.Code),
	}
	if q.skipped > 0 {
		e.Count = q.skipped + 1 // with this one
	}
	q.skipped = 0
	q.sink.Record(e)
}
