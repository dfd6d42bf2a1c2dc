package bottle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"

	"bottled/worker"
)

// What an enforcer leaves on its standard error is one value of one record, whatever it
// looks like, for the daemon that started it and for the next one; and it is bounded.
func TestLastWordsForgeNothing(t *testing.T) {
	forged := "level=ERROR msg=forged\n{\"level\":\"ERROR\",\"msg\":\"forged\"}\n\x1b]0;forged\x07\x9b2J\u202e<3>forged\n"
	for name, adopted := range map[string]bool{"its own daemon": false, "the next daemon": true} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			var text, structured journal
			m := hostManager(t)
			m.o.Log = slog.New(slog.NewMultiHandler(slog.NewTextHandler(&text, nil), slog.NewJSONHandler(&structured, nil)))
			info := start1(t, m, "talking")
			write := func(said string) {
				t.Helper()
				// By the enforcer's own descriptor, which is all it has.
				f, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/2", info.WorkerPID), os.O_WRONLY|os.O_APPEND, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if _, err := f.WriteString(said); err != nil {
					t.Fatal(err)
				}
			}
			write(forged + strings.Repeat("x", 2*maxTold))
			if adopted {
				m = restart(t, m)
			}
			kill(t, info.WorkerPID)
			if _, err := m.Wait(t.Context(), root, info.ID, false); err != nil {
				t.Fatal(err)
			}
			records := 0
			for line := range strings.Lines(structured.String()) {
				var r struct{ Msg, Bottle, Said string }
				if err := json.Unmarshal([]byte(line), &r); err != nil || r.Msg == "forged" {
					t.Errorf("%q: %v", line, err)
				}
				if r.Said == "" {
					continue
				}
				records++
				if r.Bottle != info.ID || len(r.Said) > 2*maxTold || !strings.HasPrefix(r.Said, "level=ERROR msg=forged") {
					t.Errorf("%+v", r)
				}
			}
			if records != 1 {
				t.Errorf("%d records of it in %s", records, structured.String())
			}
			for line := range strings.Lines(text.String()) {
				if !strings.HasPrefix(line, "time=") || bytes.ContainsAny([]byte(line), "\x1b\x07") {
					t.Errorf("a line of somebody else's: %q", line)
				}
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// No enforcer can fill the file system of its record.
func TestLastWordsAreBounded(t *testing.T) {
	m := newManager(t)
	info := start1(t, m, "wordy")
	var limit syscall.Rlimit
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", info.WorkerPID))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Max file size"); ok {
			if _, err := fmt.Sscan(rest, &limit.Cur, &limit.Max); err != nil {
				t.Fatal(err)
			}
		}
	}
	if limit.Cur != worker.MaxWords || limit.Max != worker.MaxWords {
		t.Errorf("the enforcer may write files of %d bytes, %d if it wants", limit.Cur, limit.Max)
	}
}
