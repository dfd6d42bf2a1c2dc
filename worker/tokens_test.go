package worker

import (
	"strings"
	"testing"
	"time"

	"bottled/dlp"
	"bottled/routes"
	"bottled/screen"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func hold(t *testing.T, generation uint64, values map[string]string, expires Expiries) tokens {
	t.Helper()
	made, err := newTokens(generation, values, expires)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestATokenEndsAtItsExpiry(t *testing.T) {
	held := hold(t, 1, map[string]string{"A": "a", "B": "b"}, Expiries{"A": noon})
	for _, c := range []struct {
		slot string
		now  time.Time
		want string
	}{
		{"A", noon.Add(-time.Nanosecond), "a"},
		{"A", noon, ""},
		{"A", noon.Add(time.Hour), ""},
		{"B", noon.Add(time.Hour), "b"},
		{"C", noon.Add(-time.Hour), ""},
	} {
		if got, ok := held.get(c.slot, c.now); got.Reveal() != c.want || ok != (c.want != "") {
			t.Errorf("%s at %v: %v", c.slot, c.now, ok)
		}
	}
	if _, ok := (tokens{}).get("A", noon); ok {
		t.Error("the zero tokens hold one")
	}
}

func TestARenewalFillsOnlyWhatIsThere(t *testing.T) {
	held := hold(t, 3, map[string]string{"A": "old", "B": "b"}, Expiries{"A": noon})
	next, err := held.with(hold(t, 3, map[string]string{"A": "new"}, Expiries{"A": noon.Add(time.Hour)}))
	if err != nil {
		t.Fatal(err)
	}
	a, okA := next.get("A", noon)
	b, okB := next.get("B", noon)
	if !okA || !okB || a.Reveal() != "new" || b.Reveal() != "b" || next.generation != 3 {
		t.Error("the renewed tokens are not what was given")
	}
	if old, _ := held.get("A", noon.Add(-time.Hour)); old.Reveal() != "old" {
		t.Error("tokens in use were changed")
	}
	if _, err := held.with(hold(t, 3, map[string]string{"C": "c"}, nil)); err == nil {
		t.Error("a slot that no route has was filled")
	}
}

func TestATokenThatCannotBeInjectedIsRefused(t *testing.T) {
	for name, value := range map[string]string{"empty": "", "CR LF": "t0ken\r\nX: y", "NUL": "t0ken\x00"} {
		_, err := newTokens(1, map[string]string{"A": value}, nil)
		if err == nil || !strings.Contains(err.Error(), `"A"`) || strings.Contains(err.Error(), "t0ken") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := newTokens(1, nil, Expiries{"A": noon}); err == nil {
		t.Error("an expiry without a value was taken")
	}
}

// TestASlotIsOfOneTable: between two tables the same slot may be two tokens, and a
// request gets the one of the table that judged it.
func TestASlotIsOfOneTable(t *testing.T) {
	e := new(enforcer)
	e.live.Store(&live{
		tokens: hold(t, 8, map[string]string{"A": "of 8"}, nil),
		before: hold(t, 7, map[string]string{"A": "of 7"}, nil),
	})
	for generation, want := range map[uint64]string{6: "", 7: "of 7", 8: "of 8", 9: "", 0: ""} {
		if got, ok := e.credential(generation, "A"); got.Reveal() != want || ok != (want != "") {
			t.Errorf("generation %d: %v", generation, ok)
		}
	}
	e.live.Store(&live{tokens: hold(t, 1, nil, nil)}) // before is zero, as at the start
	if _, ok := e.credential(0, "A"); ok {
		t.Error("generation 0 has a token")
	}
}

func TestARenewalIsForTheTableInForce(t *testing.T) {
	e := &enforcer{screen: screen.New(routes.DLP{}, dlp.Limits{}, nil)}
	e.live.Store(&live{tokens: hold(t, 8, map[string]string{"A": "old"}, Expiries{"A": noon})})
	for _, r := range []Renewal{
		{Generation: 7, Tokens: map[string]string{"A": "new"}},
		{Generation: 9, Tokens: map[string]string{"A": "new"}},
		{Generation: 8, Tokens: map[string]string{"A": ""}},
		{Generation: 8, Tokens: map[string]string{"B": "new"}},
	} {
		if err := e.renew(r); err == nil {
			t.Errorf("generation %d, %d tokens: taken", r.Generation, len(r.Tokens))
		}
		if got := e.live.Load().tokens.bySlot["A"]; got.token.Reveal() != "old" || !got.expires.Equal(noon) {
			t.Errorf("generation %d: a refused renewal changed something", r.Generation)
		}
	}
	if err := e.renew(Renewal{Generation: 8, Tokens: map[string]string{"A": "new"}}); err != nil {
		t.Fatal(err)
	}
	if got, _ := e.credential(8, "A"); got.Reveal() != "new" {
		t.Error("not renewed")
	}
}
