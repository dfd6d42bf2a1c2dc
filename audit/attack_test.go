package audit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bottled/attack"
)

// TestAttackQuery denies a URL with a token in it and looks for the token in the log. The
// control writes the target as an enforcer that knows no better would.
func TestAttackQuery(t *testing.T) {
	const token = "tok-canary"
	for _, target := range []string{"/v1?key=" + token, "/v1#" + token, "https://u:" + token + "@h/v1", "u:" + token + "@h:443"} {
		probe := func(e Event) attack.Probe {
			return func(t *testing.T) error {
				w := &writer{}
				l := newLog(w, logOptions{})
				e.Authority = "api.example.com"
				l.Record(e)
				closeLog(t, l)
				if out := w.buf.String() + e.Line(); !strings.Contains(out, token) {
					return fmt.Errorf("logged as %q", e.Path)
				}
				return nil
			}
		}
		attack.Stopped(t, "C12", "token in the URL "+strings.ReplaceAll(target, token, "TOK"), probe(Event{Detail: target}), probe(Event{Path: PathOf(target)}))
	}
}

// TestAttackFlood records denials without end. It succeeds if the disk fills beyond the bound, or
// if the log does not say how many it lost.
func TestAttackFlood(t *testing.T) {
	const n = 60_000
	const bound = 3 * (1<<20 + maxLine)
	flood := func(o FileOptions) attack.Probe {
		return func(t *testing.T) error {
			path := filepath.Join(t.TempDir(), "audit.log")
			l, err := Open(path, o)
			if err != nil {
				t.Fatal(err)
			}
			for range n {
				l.Record(Event{Verdict: Deny, Reason: "host-not-allowed"})
			}
			l.Record(Event{Bottle: "last"})
			closeLog(t, l)
			files, err := Files(path)
			if err != nil {
				t.Fatal(err)
			}
			var size int64
			var text strings.Builder
			for _, name := range files {
				b, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				size += int64(len(b))
				text.Write(b)
			}
			if l.Dropped() > 0 && !strings.Contains(text.String(), `"kind":"dropped"`) {
				t.Error("events were dropped and no line says so")
			}
			if size > bound {
				return nil
			}
			return fmt.Errorf("%d denials take %d KiB in %d files; %d dropped, and on record", n, size>>10, len(files), l.Dropped())
		}
	}
	attack.Stopped(t, "X10", "flood of denials", flood(FileOptions{Keep: 100, Queue: n}), flood(FileOptions{Size: 1 << 20, Keep: 2}))
}
