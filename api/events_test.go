package api

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"bottled/audit"
	"bottled/bottle"
)

func eventServer(f Bottles) *Server {
	s := NewServer(f, nil)
	s.Events = new(audit.Recent)
	return s
}

// A user reads the events of their own bottles, root those of all, and a name of
// somebody else's bottle is as good as none.
func TestEventsAreTheOwners(t *testing.T) {
	f := newFake()
	f.bottles["mine"] = bottle.Info{ID: "id-mine", Name: "mine", Owner: 71000}
	f.bottles["theirs"] = bottle.Info{ID: "id-theirs", Name: "theirs", Owner: 71001}
	s := eventServer(f)
	s.Events.Record(audit.Event{Bottle: "id-mine", Owner: "71000", Verdict: audit.Allow})
	s.Events.Record(audit.Event{Bottle: "id-theirs", Owner: "71001"})
	s.Events.Record(audit.Event{Reason: "of-the-daemon"})
	for _, c := range []struct {
		name   string
		uid    uint32
		ref    string
		denied bool
		want   []string
	}{
		{"root, all", 0, "", false, []string{"id-mine", "id-theirs", "of-the-daemon"}},
		{"root, denied", 0, "", true, []string{"id-theirs", "of-the-daemon"}},
		{"root, one", 0, "theirs", false, []string{"id-theirs"}},
		{"user, all", 71000, "", false, []string{"id-mine"}},
		{"user, denied", 71000, "", true, nil},
		{"user, by id", 71000, "id-mine", false, []string{"id-mine"}},
		{"stranger", 71002, "", false, nil},
	} {
		answer, err := s.events(&call{ctx: t.Context(), caller: bottle.Caller{UID: c.uid}, ref: c.ref, flags: map[string]bool{"denied": c.denied}})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		w := httptest.NewRecorder()
		answer.(http.Handler).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if got := strings.Count(w.Body.String(), "\n"); got != len(c.want) {
			t.Errorf("%s: %d lines: %s", c.name, got, w.Body)
		}
		for _, want := range c.want {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: no %s in %s", c.name, want, w.Body)
			}
		}
	}
	if _, err := s.events(&call{caller: bottle.Caller{UID: 71000}, ref: "theirs"}); !errors.Is(err, bottle.ErrNotFound) {
		t.Errorf("somebody else's bottle: %v", err)
	}
}

// A stream goes on with what comes, tells its reader what it missed, and ends with
// its client and with the server.
func TestEventsFollow(t *testing.T) {
	s := eventServer(newFake())
	for _, end := range []string{"client", "server"} {
		ctx, gone := context.WithCancel(t.Context())
		answer, err := s.events(&call{ctx: ctx, flags: map[string]bool{"follow": true}})
		if err != nil {
			t.Fatal(err)
		}
		w := &lineWriter{lines: make(chan string)}
		done := make(chan struct{})
		go func() {
			defer close(done)
			answer.(http.Handler).ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/", nil))
		}()
		s.Events.Record(audit.Event{Reason: "first-" + end})
		for line := range w.lines {
			if strings.Contains(line, "first-"+end) {
				break
			}
		}
		for range audit.RecentEvents + 5 { // while the writer waits for nobody
			s.Events.Record(audit.Event{Reason: "flood"})
		}
		var missed string
		for i := 0; missed == "" && i < 3*audit.RecentEvents; i++ {
			if line := <-w.lines; strings.Contains(line, ReasonReader) {
				missed = line
			}
			if i == 0 {
				for range audit.RecentEvents + 5 {
					s.Events.Record(audit.Event{Reason: "flood"})
				}
			}
		}
		if !strings.Contains(missed, `"kind":"dropped"`) || !strings.Contains(missed, `"count":`) {
			t.Errorf("%s: told %q", end, missed)
		}
		go func() { // what is left
			for range w.lines {
			}
		}()
		if end == "client" {
			gone()
		} else {
			s.Close()
		}
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Errorf("%s: the stream does not end", end)
		}
		gone()
		close(w.lines)
	}
}

// lineWriter gives each line to whoever takes it, and waits until somebody does.
type lineWriter struct{ lines chan string }

func (w *lineWriter) Header() http.Header         { return http.Header{} }
func (w *lineWriter) WriteHeader(int)             {}
func (w *lineWriter) Flush()                      {}
func (w *lineWriter) Write(p []byte) (int, error) { w.lines <- string(p); return len(p), nil }
