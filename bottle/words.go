package bottle

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// maxTold bounds how much of an enforcer's last words is in the log, in bytes: the
// reason of a crash is in its first lines.
const maxTold = 4 << 10

// removeState removes the record of a bottle, after it told what its enforcer had to say.
func (m *Manager) removeState(_ context.Context, p paths) error {
	m.tell(p)
	return os.RemoveAll(p.state)
}

// tell logs what an enforcer left on its standard error. One that is in somebody's
// hands writes there what it likes, so it is one value of one record of ours, whose
// control characters the log escapes. A file, and no pipe: it is there for whatever
// daemon ends the bottle, and an enforcer neither waits for a reader nor dies of none.
func (m *Manager) tell(p paths) {
	f, err := os.Open(p.words())
	if errors.Is(err, os.ErrNotExist) {
		return // it was never started
	}
	var text []byte
	if err == nil {
		defer f.Close()
		text, err = io.ReadAll(io.LimitReader(f, maxTold))
	}
	if err != nil {
		m.o.Log.Error("cannot read what an enforcer had to say", "bottle", filepath.Base(p.state), "error", err)
		return
	}
	if said := printable(text); said != "" {
		m.o.Log.Error("an enforcer ended with words", "bottle", filepath.Base(p.state), "said", said)
	}
}

// printable makes text of anything, with nothing in it that a terminal obeys.
func printable(text []byte) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r >= ' ' && r != 0x7f && r < 0x80 {
			return r
		}
		return utf8.RuneError
	}, string(text)))
}
