package proposal_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"bottled/proposal"
)

func TestRoundTrip(t *testing.T) {
	q := proposal.NewQueue(proposal.Options{Now: func() time.Time { return time.Unix(1e9, 5).In(time.FixedZone("", 3600)) }})
	for i, made := range []func() (proposal.Proposal, error){
		route("*.example.com", []string{"/a", "/b/*/c"}, []string{"GET"}),
		exemption("github-pat", "a.example.com"), match("github-pat", "0123456789abcdef", "01J", "/v1"),
		capability("limits", "2 GiB <more> & \"memory\" שלום"),
	} {
		p, err := made()
		if err != nil {
			t.Fatal(err)
		}
		ticket, err := q.Propose(p)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			d := proposal.Decision{ID: ticket.ID, Digest: ticket.Digest, State: proposal.Denied, By: "root", Answer: strings.Repeat("no\n", 300)}
			if ticket, err = q.Decide(d); err != nil {
				t.Fatal(err)
			}
			same(t, d)
		}
		same(t, p)
		same(t, ticket)
	}
	same(t, q.Since(t.Context(), 0))
}

func same[T any](t *testing.T, v T) {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var back T
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if !reflect.DeepEqual(v, back) {
		t.Errorf("\ngave %+v\ngot  %+v", v, back)
	}
}

func TestJSONIsStrict(t *testing.T) {
	const good = `{"kind":"route","host":"a.example.com","methods":["GET"],"reason":"x"}`
	var p proposal.Proposal
	if err := json.Unmarshal([]byte(good), &p); err != nil {
		t.Fatalf("the canonical form is refused: %v", err)
	}
	for name, text := range map[string]string{
		"unknown key":    `{"kind":"route","host":"a.example.com","methods":["GET"],"reason":"x","auth":"y"}`,
		"repeated key":   `{"kind":"route","host":"b.example.com","host":"a.example.com","methods":["GET"],"reason":"x"}`,
		"other case":     `{"kind":"route","HOST":"a.example.com","methods":["GET"],"reason":"x"}`,
		"both cases":     `{"kind":"route","host":"b.example.com","Host":"a.example.com","methods":["GET"],"reason":"x"}`,
		"other order":    `{"host":"a.example.com","kind":"route","methods":["GET"],"reason":"x"}`,
		"white space":    `{"kind": "route","host":"a.example.com","methods":["GET"],"reason":"x"}`,
		"escaped key":    `{"\u006bind":"route","host":"a.example.com","methods":["GET"],"reason":"x"}`,
		"not normalised": `{"kind":"route","host":"A.example.com","methods":["GET"],"reason":"x"}`,
		"key of others":  `{"kind":"route","host":"a.example.com","methods":["GET"],"rule":"r","reason":"x"}`,
		"bidi reason":    "{\"kind\":\"route\",\"host\":\"a.example.com\",\"methods\":[\"GET\"],\"reason\":\"x\u202e\"}",
		"not validated":  `{"kind":"route","host":"*.com","reason":"x"}`,
		"no kind":        `{"host":"a.example.com","reason":"x"}`,
		"unknown kind":   `{"kind":"approval","host":"a.example.com","reason":"x"}`,
		"null":           `null`,
		"list":           `[]`,
	} {
		if err := json.Unmarshal([]byte(text), &p); err == nil {
			t.Errorf("%s: taken as %q", name, p)
		}
		if p.Kind() != 0 {
			t.Errorf("%s: an error left a proposal behind", name)
		}
	}
}

func TestForgedTicketIsRefused(t *testing.T) {
	q := proposal.NewQueue(proposal.Options{})
	ticket := ask(t, q, "a.example.com")
	text, err := json.Marshal(ticket)
	if err != nil {
		t.Fatal(err)
	}
	for name, forged := range map[string]string{
		"other content under the same digest": strings.Replace(string(text), "a.example.com", "b.example.com", 1),
		"other digest":                        strings.Replace(string(text), ticket.Digest, strings.Repeat("0", 64), 1),
		"no state":                            strings.Replace(string(text), `"waiting"`, `""`, 1),
		"unknown state":                       strings.Replace(string(text), `"waiting"`, `"approved!"`, 1),
	} {
		var got proposal.Ticket
		if forged == string(text) {
			t.Fatalf("%s: nothing was changed", name)
		}
		if err := json.Unmarshal([]byte(forged), &got); err == nil || got.State != 0 {
			t.Errorf("%s: %v, %+v", name, err, got)
		}
	}
	twice := `{"revision":1,"tickets":[` + string(text) + "," + string(text) + "]}"
	var s proposal.Snapshot
	if err := json.Unmarshal([]byte(twice), &s); err == nil || len(s.Tickets) != 0 {
		t.Errorf("one number for two tickets: %v", err)
	}
}

func TestZeroValuesDoNotMarshal(t *testing.T) {
	for _, v := range []any{proposal.Proposal{}, proposal.Ticket{}, proposal.Decision{}, proposal.Kind(9), proposal.State(9)} {
		if text, err := json.Marshal(v); err == nil {
			t.Errorf("%T: %s", v, text)
		}
	}
}

func FuzzProposalJSON(f *testing.F) {
	f.Add([]byte(`{"kind":"route","host":"a.example.com","methods":["GET"],"reason":"x"}`))
	f.Add([]byte(`{"kind":"exemption","host":"a.example.com","rule":"r","reason":"x"}`))
	f.Add([]byte(`{"kind":"capability","area":"mounts","change":"/opt","reason":"x"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var p proposal.Proposal
		if json.Unmarshal(text, &p) != nil {
			return
		}
		same(t, p)
		unsafe(t, p.String())
		unsafe(t, p.Reason())
	})
}
