package worker

import (
	"testing"

	"golang.org/x/time/rate"

	"bottled/audit"
	"bottled/dns"
)

// Ordinary queries make no event, odd ones do, and a flood makes few that count it.
func TestQueriesCannotFloodTheAudit(t *testing.T) {
	var got []audit.Event
	q := newQueries(audit.SinkFunc(func(e audit.Event) { got = append(got, e) }), processes{}.asker)
	for range 1000 {
		q.observe(dns.Query{Name: "api.example.com", Type: "A", Code: "NOERROR"})
		q.observe(dns.Query{Name: "example", Type: "AAAA", Code: "NXDOMAIN"})
	}
	if len(got) != 0 {
		t.Fatalf("%d events of ordinary queries", len(got))
	}
	for range 1000 {
		q.observe(dns.Query{Name: "c2VjcmV0.example.com", Type: "TXT", Code: "NOERROR"})
	}
	if n := len(got); n < queryBurst || n > queryBurst+5 {
		t.Fatalf("%d events of 1000 odd queries", n)
	}
	if e := got[0]; e.Kind != audit.Query || e.Verdict != audit.Deny || e.Method != "TXT" || e.Authority != "c2VjcmV0.example.com" || e.Reason != "query-noerror" {
		t.Errorf("%+v", e)
	}
	counted := uint64(len(got))
	q.limit = rate.NewLimiter(rate.Inf, 1)
	q.observe(dns.Query{Code: "FORMERR"})
	if last := got[len(got)-1]; last.Count+counted-1 < 990 || last.Reason != "query-formerr" {
		t.Errorf("%+v", last)
	}
}
