package audit

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHostileEvents has an enforcer that was taken over report an event that is longer than any
// line, and one of a time that JSON cannot say. The next daemon goes on with the log, and whoever
// reads it does.
func TestHostileEvents(t *testing.T) {
	for name, event := range map[string]string{
		"ordinary":               `{"time":"2030-01-02T03:04:05Z","original_dst":"[fe80::1]:53"}`,
		"a zone without a bound": `{"time":"2030-01-02T03:04:05Z","original_dst":"[fe80::1%` + strings.Repeat("z", 8*maxLine) + `]:53"}`,
		"the year 10000":         `{"time":"9999-12-31T23:59:59-23:59","dialled":"[fe80::1%\u0000]:53"}`,
		"null":                   `null`,
	} {
		if err := readable(t, event); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// readable records an event as an enforcer sends it, and says who cannot read it.
func readable(t *testing.T, event string) error {
	var e Event
	if err := json.Unmarshal([]byte(event), &e); err != nil {
		return err
	}
	path := filepath.Join(t.TempDir(), "audit.log")
	for range 2 { // the second goes on from the first one's line
		l, err := Open(path, FileOptions{})
		if err != nil {
			return fmt.Errorf("the next daemon: %w", err)
		}
		l.Record(e)
		if _, err := l.Close(t.Context()); err != nil {
			return err
		}
		if n := l.Dropped(); n > 0 {
			return fmt.Errorf("%d events are not on record", n)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := Verify(f, From(Head{})); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	var recent Recent
	recent.Record(e)
	events, _ := recent.Reader(Filter{}).Next()
	_, err = json.Marshal(events)
	return err
}
