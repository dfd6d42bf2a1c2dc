package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"bottled/audit"
	"bottled/bottle"
)

// ReasonReader is the reason of an [audit.Dropped] event in a stream: its Count
// events came and went before the stream's reader took them.
const ReasonReader = "reader-too-slow"

// events answers with what is remembered, and with follow with what comes until
// the client goes: one [audit.Event] as JSON a line.
func (s *Server) events(q *call) (any, error) {
	if s.Events == nil {
		return nil, refusal{http.StatusServiceUnavailable, "unavailable", "this daemon keeps no events"}
	}
	f := audit.Filter{Denied: q.flags["denied"]}
	if !q.caller.Root() {
		f.Owner = strconv.FormatUint(uint64(q.caller.UID), 10)
	}
	if q.ref != "" {
		b, err := s.named(q)
		if err != nil {
			return nil, err
		}
		f.Bottle = b.ID
	}
	return stream{server: s, reader: s.Events.Reader(f), follow: q.flags["follow"]}, nil
}

// named finds the bottle that a query means, the newest of its name.
func (s *Server) named(q *call) (found bottle.Info, err error) {
	for _, b := range s.bottles.List(q.caller, true) {
		if (b.ID == q.ref || b.Name == q.ref) && !b.Created.Before(found.Created) {
			found = b
		}
	}
	if found.ID == "" {
		return found, bottle.ErrNotFound
	}
	return found, nil
}

// stream is an answer of many lines.
type stream struct {
	server *Server
	reader *audit.Reader
	follow bool
}

// ServeHTTP writes until there is no more, the client has gone or takes longer than
// writeTimeout for a batch, or the server ends.
func (st stream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(st.server.streams, cancel)()
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	out, lines := http.NewResponseController(w), json.NewEncoder(w)
	began := time.Now()
	for {
		out.SetWriteDeadline(time.Now().Add(writeTimeout))
		events, lost := st.reader.Next()
		over := !st.follow && (len(events) == 0 || events[len(events)-1].Time.After(began))
		if lost > 0 {
			events = append([]audit.Event{{Time: time.Now().UTC(), Kind: audit.Dropped, Count: lost, Reason: ReasonReader}}, events...)
		}
		for _, e := range events {
			if lines.Encode(e) != nil {
				return
			}
		}
		if out.Flush() != nil || over || st.follow && st.reader.Wait(ctx) != nil {
			return
		}
	}
}

// stats answers with the counts of the bottles that the caller may see.
func (s *Server) stats(q *call) (any, error) {
	if s.Stats == nil {
		return []Stats{}, nil
	}
	return s.Stats(q.ctx, q.caller), nil
}

// metrics answers as Prometheus wants it. A caller who is not root gets the series
// of their own bottles, and the totals of the host.
func (s *Server) metrics(q *call) (any, error) {
	if s.Metrics == nil {
		return nil, refusal{http.StatusServiceUnavailable, "unavailable", "this daemon keeps no metrics"}
	}
	return s.Metrics(q.caller), nil
}
