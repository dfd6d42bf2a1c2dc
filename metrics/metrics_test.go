package metrics

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"bottled/audit"
)

func recorder() *Recorder {
	return &Recorder{Started: "bottle-started", Ended: "bottle-ended", Failed: "bottle-failed"}
}

func scrape(t *testing.T, h http.Handler) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestPage(t *testing.T) {
	r := recorder()
	for _, e := range []audit.Event{
		{Kind: audit.Control, Bottle: "b1", Reason: "bottle-started", Verdict: audit.Allow, Duration: 60 * time.Millisecond},
		{Kind: audit.Control, Reason: "bottle-failed"},
		{Kind: audit.Request, Bottle: "b1", Verdict: audit.Allow, BytesUp: 10, BytesDown: 200, Injected: true, Scrubbed: 2},
		{Kind: audit.Request, Bottle: "b1", Reason: "host-not-allowed"},
		{Kind: audit.Connection, Bottle: "b1", Reason: "tls-handshake"},
		{Kind: audit.Kernel, Bottle: "b1", Reason: "send-destination", Count: 3},
		{Kind: audit.Query, Bottle: "b1", Reason: "query-noerror"},
	} {
		r.Record(e)
	}
	host := Host{Version: "1", States: map[string]int{"running": 1}, Bottles: []Bottle{{ID: "b1", Name: "demo", Owner: 1000, Open: 4, Accepted: 9, EventsDropped: 1}}, EventsDropped: 7}
	text := scrape(t, r.Handler(host))
	for _, want := range []string{
		`bottled_bottles{state="running"} 1`,
		`bottled_launches_total{result="ok"} 1`,
		`bottled_launches_total{result="failed"} 1`,
		`bottled_launch_duration_seconds_bucket{le="0.05"} 0`,
		`bottled_launch_duration_seconds_bucket{le="0.1"} 1`,
		`bottled_launch_duration_seconds_count 1`,
		`bottled_requests_total{verdict="deny"} 2`,
		`bottled_denied_total{reason="host-not-allowed"} 1`,
		`bottled_kernel_refusals_total{reason="send-destination"} 3`,
		`bottled_audit_dropped_events_total 7`,
		`bottled_bottle_connections{bottle="b1",name="demo",owner="1000"} 4`,
		`bottled_bottle_connections_total{bottle="b1",name="demo",owner="1000"} 9`,
		`bottled_bottle_requests_total{bottle="b1",name="demo",owner="1000",verdict="allow"} 1`,
		`bottled_bottle_denied_total{bottle="b1",name="demo",owner="1000",reason="tls-handshake"} 1`,
		`bottled_bottle_injected_total{bottle="b1",name="demo",owner="1000"} 1`,
		`bottled_bottle_scrubbed_total{bottle="b1",name="demo",owner="1000"} 2`,
		`bottled_bottle_bytes_total{bottle="b1",direction="down",name="demo",owner="1000"} 200`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	// Who is not asked who they are reads no name and no owner.
	host.Open = true
	if open := scrape(t, r.Handler(host)); strings.Contains(open, "demo") || strings.Contains(open, "1000\"") ||
		!strings.Contains(open, `bottled_bottle_connections{bottle="b1",name="",owner=""} 4`) {
		t.Errorf("the open page:\n%s", open)
	}
	host.Open = false
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	// Its series go with the bottle; what all did stays.
	r.Record(audit.Event{Kind: audit.Control, Bottle: "b1", Reason: "bottle-ended", Verdict: audit.Allow})
	host.Bottles = nil
	text = scrape(t, r.Handler(host))
	if strings.Contains(text, `bottle="b1"`) || !strings.Contains(text, `bottled_requests_total{verdict="deny"} 2`) || len(r.bottles) != 0 {
		t.Errorf("after its end:\n%s", text)
	}
}

// An enforcer in its attacker's hand makes no series without bound.
func TestReasonsAreBounded(t *testing.T) {
	r := recorder()
	for i := range 10 * maxReasons {
		r.Record(audit.Event{Kind: audit.Request, Bottle: "b", Reason: fmt.Sprint("made-up-", i)})
	}
	r.Record(audit.Event{Kind: audit.Request, Bottle: "b", Reason: "not\na \"code\""})
	if c := r.Bottle("b"); len(c.DeniedBy) != maxReasons+1 || c.Denied != 10*maxReasons+1 || c.DeniedBy["other"] != 9*maxReasons+1 {
		t.Errorf("%d reasons, %d other", len(c.DeniedBy), c.DeniedBy["other"])
	}
	for i := range 2 * maxBottles {
		r.Record(audit.Event{Kind: audit.Request, Bottle: fmt.Sprint("b", i)})
	}
	if len(r.bottles) != maxBottles {
		t.Errorf("%d bottles", len(r.bottles))
	}
}

func TestListenIsForThisHostOnly(t *testing.T) {
	for _, address := range []string{"0.0.0.0:9000", ":9000", "[::]:9000", "192.0.2.1:9000", "localhost:9000", "127.0.0.1", "[::ffff:127.0.0.1]:9000", "", "[::ffff:192.0.2.1]:1"} {
		if l, err := Listen(address); err == nil {
			l.Close()
			t.Errorf("listens on %q", address)
		}
	}
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Server(func() http.Handler { return recorder().Handler(Host{}) })
	go s.Serve(l)
	defer s.Close()
	for path, want := range map[string]int{"/metrics": 200, "/": 404, "/debug/pprof/": 404} {
		resp, err := http.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, not %d", path, resp.StatusCode, want)
		}
	}
	req, _ := http.NewRequest("GET", "http://"+l.Addr().String()+"/metrics", nil)
	req.Host = "evil.example.com"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("a foreign name: %d", resp.StatusCode)
	}
}

var _ prometheus.Collector = page{}
