package scenario

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"bottled/audit"
)

// events are the lines that `bottled logs --json` prints of a bottle.
func (d *daemon) events(t *testing.T, args ...string) (events []audit.Event) {
	t.Helper()
	r := d.client(t, nil, append([]string{"logs", "--json"}, args...)...)
	if r.code != 0 {
		t.Fatalf("logs: %v", r)
	}
	for line := range strings.Lines(r.stdout) {
		var e audit.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		events = append(events, e)
	}
	return events
}

// one is the only event that fits.
func one(t *testing.T, events []audit.Event, what string, fits func(audit.Event) bool) audit.Event {
	t.Helper()
	var found []audit.Event
	for _, e := range events {
		if fits(e) {
			found = append(found, e)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d events of %s in %+v", len(found), what, events)
	}
	return found[0]
}

const asks = `
curl -s -o /dev/null -X POST -d 'body' 'https://api.example.com/v1/things?secret=s3cret'
curl -s -o /dev/null https://api.example.com/admin
curl -s -o /dev/null http://other.example.com/x
bash -c 'echo x >/dev/udp/192.0.2.1/53535'
true`

// Everything a bottle asked for is on record with who asked, what for and what came
// of it: what was allowed, what the enforcer denied, and what the kernel refused. A
// bottle that ends at once has its account all the same.
func TestAuditTellsWhoAskedForWhatAndGotWhat(t *testing.T) {
	w := newWorld(t)
	w.https(t, "api.example.com", func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "0123456789") })
	manifest := w.manifest(`- {host: api.example.com, path_allowlist: ["/v1"], allow_private: [127.0.0.0/8]}`)
	if r := w.sh(t, bottle{manifest: manifest, flags: []string{"--name", "asks"}}, asks); r.code != 0 {
		t.Fatal(r)
	}
	events := w.events(t, "--bottle", "asks")

	e := one(t, events, "the allowed request", func(e audit.Event) bool { return e.Method == "POST" })
	if e.Kind != audit.Request || e.Verdict != audit.Allow || e.Reason != "allowed" || e.Route != "api.example.com" ||
		e.Authority != "api.example.com" || e.Scheme != "https" || e.SNI != "api.example.com" || e.Path.String() != "/v1/things" ||
		e.Status != 200 || e.BytesUp != 4 || e.BytesDown != 10 || e.Duration <= 0 || e.Time.IsZero() || !e.Dialled.IsValid() {
		t.Errorf("allowed: %+v", e)
	}
	e = one(t, events, "the denied path", func(e audit.Event) bool { return e.Path.String() == "/admin" })
	if e.Verdict != audit.Deny || e.Reason != "path-not-allowed" || e.Status != 403 || e.Method != "GET" || e.Dialled.IsValid() {
		t.Errorf("denied path: %+v", e)
	}
	e = one(t, events, "the denied host", func(e audit.Event) bool { return strings.HasPrefix(e.Authority, "other.example.com") })
	if e.Verdict != audit.Deny || e.Reason != "host-not-allowed" || e.Scheme != "http" || e.Status != 403 {
		t.Errorf("denied host: %+v", e)
	}
	e = one(t, events, "the kernel's refusal", func(e audit.Event) bool { return e.Kind == audit.Kernel })
	if e.Verdict != audit.Deny || e.OriginalDst.String() != "192.0.2.1:53535" || e.Protocol != "udp" || !strings.HasSuffix(e.Reason, "-destination") {
		t.Errorf("kernel: %+v", e)
	}
	ids := map[string]bool{}
	for _, e := range events {
		if e.Bottle == "" || e.Owner != "0" {
			t.Errorf("whose is %+v", e)
		}
		if e.Kind == audit.Control {
			continue
		}
		if e.Process.PID == 0 || e.Process.Comm != "curl" && e.Process.Comm != "bash" || !e.OriginalDst.IsValid() {
			t.Errorf("who asked is not told: %+v", e)
		}
		if e.Kind == audit.Request {
			if e.RequestID == "" || ids[e.RequestID] || e.Generation != 1 || e.Protocol == "" {
				t.Errorf("%+v", e)
			}
			ids[e.RequestID] = true
		}
	}
	if first, last := events[0], events[len(events)-1]; first.Reason != "bottle-started" || first.Duration <= 0 || last.Reason != "bottle-ended" {
		t.Errorf("the account begins with %+v and ends with %+v", first, last)
	}
	if denied := w.events(t, "--bottle", "asks", "--denied"); len(denied) != 3 {
		t.Errorf("--denied: %+v", denied)
	}
	w.checkRecord(t)
}

// checkRecord looks at the file: the chain is whole, the same is in it, and no query.
func (w *world) checkRecord(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(w.audit)
	if err != nil || strings.Contains(string(text), "s3cret") || strings.Count(string(text), `"path":"/admin"`) != 1 {
		t.Errorf("%v\n%s", err, text)
	}
	if r := w.client(t, nil, "audit", "verify", w.audit); !r.ok("whole") {
		t.Error(r)
	}
	forged := filepath.Join(publicDir(t), "forged.log")
	if err := os.WriteFile(forged, []byte(strings.Replace(string(text), "/admin", "/adm1n", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := w.client(t, nil, "audit", "verify", forged); r.code != 1 || !strings.Contains(r.stdout, "broken") || !strings.Contains(r.stdout, "line ") {
		t.Errorf("a changed line: %v", r)
	}
	r := w.client(t, nil, "logs", "--denied")
	if !strings.Contains(r.stdout, "deny  asks") || strings.Contains(r.stdout, "\x1b") {
		t.Errorf("logs for people: %v", r)
	}
}

// Learning lets nothing more through, records what was refused, and what is suggested
// lets the same command through.
func TestLearning(t *testing.T) {
	w := newWorld(t)
	var got atomic.Int32
	w.https(t, "api.example.com", func(rw http.ResponseWriter, r *http.Request) { got.Add(1); greet(rw, r) })
	record := filepath.Join(publicDir(t), "refused.jsonl")
	const script = `curl -sS https://api.example.com/v1/a https://api.example.com/v1/b`
	b := bottle{manifest: w.manifest(`- {host: unused.example.com, allow_private: [127.0.0.0/8]}`), flags: []string{"--learn=" + record, "--name", "learner"}}
	r := w.sh(t, b, script)
	if got.Load() != 0 || strings.Contains(r.stdout, greeting) || !strings.Contains(r.stderr, "2 refusals recorded") {
		t.Fatalf("%d requests arrived; %v", got.Load(), r)
	}
	for _, args := range [][]string{{"--from", record}, {"learner"}} {
		r = w.client(t, nil, append([]string{"suggest"}, args...)...)
		for _, want := range []string{`host: "api.example.com"`, `"/v1/a" # curl (1×)`, `"/v1/b" # curl (1×)`, `methods: ["GET"]`, `ports: [443]`} {
			if !r.ok(want) {
				t.Errorf("suggest %q: no %s in %v", args, want, r)
			}
		}
	}
	// The world's own authority and addresses are not the suggestion's matter.
	_, routes, _ := strings.Cut(r.stdout, "  routes:\n")
	routes = strings.Replace(routes, "      methods:", "      allow_private: [127.0.0.0/8]\n      methods:", 1)
	allowed := "version: 1\ndefaults: false\nupstream_ca: |\n" + indent(string(w.authority.PEM()), "  ") + "egress_proxy:\n  routes:\n" + routes
	if r := w.sh(t, bottle{manifest: allowed}, script); strings.Count(r.stdout, greeting) != 2 {
		t.Errorf("with what was suggested: %v\n%s", r, allowed)
	}
	if r := w.client(t, nil, "run", "--learn="+record, "--", "true"); r.code != 125 {
		t.Errorf("a record that is there is written over: %v", r)
	}
}

// The counts of a bottle are told while it runs, and its series end with it.
func TestTopAndMetrics(t *testing.T) {
	w := newWorld(t)
	w.https(t, "api.example.com", greet)
	dir := workDir(t, nil)
	b := bottle{manifest: w.only("api.example.com"), dir: dir, flags: []string{"--detach", "--name", "counted"}}
	if r := w.sh(t, b, `curl -s https://api.example.com/; curl -s https://denied.example.com/; touch done; sleep 60`); r.code != 0 {
		t.Fatal(r)
	}
	page := func() string {
		return execute(t, nil, "", "curl", "-s", "--unix-socket", w.socket, "http://b/v1/metrics").stdout
	}
	eventually(t, "the counts", 15*time.Second, func() error {
		top := w.client(t, nil, "top", "--once", "--interval", "200ms")
		text := page()
		for _, want := range []string{`bottled_bottles{state="running"} 1`, `name="counted",owner="0",verdict="allow"} 1`, `reason="host-not-allowed"} 1`, `bottled_launches_total{result="ok"} 1`} {
			if !strings.Contains(text, want) {
				return fmt.Errorf("no %s in\n%s", want, text)
			}
		}
		if !top.ok("counted") || strings.Contains(top.stdout, "\x1b") {
			return fmt.Errorf("top: %v", top)
		}
		return nil
	})
	w.client(t, nil, "stop", "--grace", "0", "counted")
	if text := page(); strings.Contains(text, "counted") || !strings.Contains(text, `bottled_denied_total{reason="host-not-allowed"} 1`) {
		t.Errorf("after its end:\n%s", text)
	}
}

// Who follows sees what comes, holds up no daemon that ends, and the page for
// Prometheus is for this host alone.
func TestFollowersAndThePageOfMetrics(t *testing.T) {
	page := netip.AddrPortFrom(address(), 9797).String()
	w := startDaemon(t, nil, "--metrics", page)
	follower := exec.Command(program("bottled"), "logs", "-f", "--denied")
	follower.Env = append(os.Environ(), "BOTTLED_SOCKET="+w.socket, "NO_COLOR=1")
	shown := new(lines)
	follower.Stdout, follower.Stderr = shown, shown
	if err := follower.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- follower.Wait() }()
	if r := w.sh(t, bottle{flags: []string{"--name", "watched"}}, `curl -s http://denied.example.com/; true`); r.code != 0 {
		t.Fatal(r)
	}
	eventually(t, "the follower is told", 10*time.Second, func() error {
		if text := shown.String(); !strings.Contains(text, "watched") || !strings.Contains(text, "host-not-allowed by=curl[") {
			return fmt.Errorf("it shows %q", text)
		}
		return nil
	})
	if r := execute(t, nil, "", "curl", "-s", "http://"+page+"/metrics"); !r.ok(`bottled_denied_total{reason="host-not-allowed"} 1`) {
		t.Error(r)
	}
	began := time.Now()
	if err := w.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-w.exited
	<-ended
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("a follower holds the daemon up for %v", took)
	}
	w.start(t)

	r := execute(t, nil, "", program("bottled"), "daemon", "--socket", w.socket+"2", "--state-dir", filepath.Join(publicDir(t), "run"), "--metrics", "0.0.0.0:9798")
	if r.code != 1 || !strings.Contains(r.stderr, "not a loopback address") {
		t.Errorf("a page for everybody: %v", r)
	}
}
