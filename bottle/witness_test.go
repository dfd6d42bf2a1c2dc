package bottle

import (
	"testing"
	"time"

	"bottled/audit"
)

// TestForgedEvents has an enforcer that was taken over say what others have to say, of
// other bottles and of other times.
func TestForgedEvents(t *testing.T) {
	began := time.Now()
	b := &bottle{record: record{ID: "mine", Owner: 7, Created: began}}
	for _, e := range []audit.Event{
		{Kind: audit.Control, Reason: ReasonEnded},
		{Kind: audit.Control, Reason: "routes-updated", Verdict: audit.Allow, Detail: "forged"},
		{Kind: audit.Kernel, Reason: "connect-destination", Detail: "forged"},
		{Kind: audit.Dropped, Count: 7},
		{Kind: audit.Torn},
		{},
	} {
		if got := b.told(e); got.Reason != reasonForged || got.Kind != audit.Control || got.Verdict != audit.Deny || got.Detail != "" || got.Count != 0 {
			t.Errorf("%+v is taken for %+v", e, got)
		}
	}
	for _, e := range []audit.Event{
		{Kind: audit.Request, Reason: "allowed", Verdict: audit.Allow},
		{Kind: audit.Connection, Reason: "host-not-allowed"},
		{Kind: audit.Query, Reason: "query-refused"},
		{Kind: audit.Control, Reason: "proposal-waiting"},
	} {
		e.Bottle, e.Owner, e.Time = "another", "0", began.Add(time.Hour)
		got := b.told(e)
		if got.Kind != e.Kind || got.Reason != e.Reason || got.Verdict != e.Verdict {
			t.Errorf("%+v is taken for %+v", e, got)
		}
		if got.Bottle != "mine" || got.Owner != "7" || got.Time.After(time.Now()) {
			t.Errorf("of the bottle %q of %q at %v", got.Bottle, got.Owner, got.Time)
		}
		e.Time = time.Now()
		if got := b.told(e); !got.Time.Equal(e.Time) {
			t.Errorf("said to be at %v instead of %v", got.Time, e.Time)
		}
	}
}
