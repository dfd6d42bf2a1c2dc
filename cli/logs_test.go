package cli

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bottled/api"
	"bottled/audit"
)

// hostile is what a program may be called.
const hostile = "\x1b[2Jgo\u202eod\u2028\u009b"

// Nothing that a peer chose acts on a terminal, as columns or as JSON.
func TestEventsAreSafeToShow(t *testing.T) {
	out, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	a := &App{Stdout: out}
	e := audit.Event{
		Kind: audit.Request, Authority: hostile, Method: hostile, Path: audit.PathOf("/" + hostile), Reason: hostile,
		RequestID: hostile, Process: audit.Process{PID: 1, Comm: hostile}, OriginalDst: netip.MustParseAddrPort("192.0.2.1:1"),
	}
	line := a.eventLine(e, hostile)
	if strings.ContainsAny(line, hostile[:1]+"\u202e\u2028\u009b") || strings.ContainsAny(line, "\n\r") {
		t.Errorf("%q", line)
	}
	if err := a.eventJSON(e); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bytes.TrimSuffix(text, []byte("\n")) {
		if b < 0x20 || b > 0x7e {
			t.Fatalf("%q", text)
		}
	}
	var back audit.Event
	if err := json.Unmarshal(text, &back); err != nil || back.Process.Comm != hostile {
		t.Errorf("%q, %v", back.Process.Comm, err)
	}
	if got := string(ascii([]byte(`"é😀"`))); got != `"\u00e9\ud83d\ude00"` {
		t.Error(got)
	}
}

// A start that came to nothing has no bottle, and is somebody's all the same.
func TestAnEventWithoutABottleHasAnOwner(t *testing.T) {
	a := &App{Stdout: os.Stdout, Environ: []string{"NO_COLOR=1"}}
	if line := a.eventLine(audit.Event{Kind: audit.Control, Owner: "1000", Reason: "bottle-failed"}, ""); !strings.Contains(line, " uid 1000 ") {
		t.Errorf("%q", line)
	}
}

func TestBytesOf(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 1023: "1023", 1024: "1.0K", 1536: "1.5K", 50 << 10: "50K", 1000 << 10: "1.0M", 1 << 40: "1.0T", 1<<64 - 1: "16E"} {
		if got := bytesOf(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

// Rates are differences over the time between; counters that began anew count from zero.
func TestTopRows(t *testing.T) {
	began := time.Now()
	before := sample{began, []api.Stats{{ID: "1", Requests: 10, Denied: 2}, {ID: "2", Requests: 900}}}
	now := sample{began.Add(2 * time.Second), []api.Stats{
		{ID: "2", Name: "restarted", Requests: 6}, {ID: "1", Name: "busy", Requests: 30, Denied: 3, BytesUp: 2048}, {ID: "3", Name: "new\x1b"},
	}}
	rows := topRows(before, now)
	if len(rows) != 4 || rows[1][0] != "busy" || rows[1][4] != "10.0" || rows[1][5] != "0.5" || rows[1][9] != "2.0K" ||
		rows[2][0] != "restarted" || rows[2][4] != "3.0" || rows[3][0] != `new\x1b` {
		t.Errorf("%q", rows)
	}
}

// A rotated log is one chain, and the first line that is wrong is named.
func TestVerifyAuditFollowsRotation(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "audit.log")
	log, err := audit.Open(name, audit.FileOptions{Size: 64 << 10, Queue: 5000})
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		log.Record(audit.Event{Kind: audit.Request, Detail: strings.Repeat("x", 100)})
	}
	if _, err := log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	files, err := audit.Files(name)
	if err != nil || len(files) < 2 {
		t.Fatalf("%q, %v", files, err)
	}
	out, err := os.CreateTemp(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	a := &App{Stdout: out}
	if status, err := a.audit([]string{"verify", name}); status != 0 || err != nil {
		t.Errorf("%d, %v", status, err)
	}
	older := files[0]
	text, err := os.ReadFile(older)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	if err := os.WriteFile(older, bytes.Join(append(lines[:6:6], lines[7:]...), nil), 0o600); err != nil { // without the seventh
		t.Fatal(err)
	}
	status, err := a.audit([]string{"verify", name})
	shown, _ := os.ReadFile(out.Name())
	if status != exitFailure || err != nil || !strings.Contains(string(shown), "broken: "+older+": line 7 ") {
		t.Errorf("%d, %v\n%s", status, err, shown)
	}
}
