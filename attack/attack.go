// Package attack holds the shape of one attack test: a probe that gets through
// where nothing enforces, and is stopped where something does.
//
// A negative test alone proves nothing: the probe may be broken. [Stopped]
// therefore runs the same probe twice, and the row fails when either the control
// does not reach its goal or the attack does. Every row leaves one line in the
// report that BOTTLED_ATTACK_REPORT names, from which scripts/attack prints its
// table.
//
// The package is imported by tests only.
package attack

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
)

// A Probe tries to get something through and returns nil if it succeeded. The
// error says how it was stopped, in words fit for a table cell.
type Probe func(t *testing.T) error

// Verdict is what a row of the suite came to.
type Verdict string

// The verdicts of a row. Only Held is good.
const (
	Held      Verdict = "held"       // the control got through, the attack did not
	Leak      Verdict = "LEAK"       // the attack got through
	NoControl Verdict = "NO CONTROL" // the probe fails even without enforcement: it shows nothing
	Broken    Verdict = "BROKEN"     // the test itself failed or was skipped
)

// Row is one line of the report.
type Row struct {
	ID      string  `json:"id"`      // id in rows.json, such as "H01"
	Name    string  `json:"name"`    // the attack in a few words
	Test    string  `json:"test"`    // full name of the Go test
	Control string  `json:"control"` // what the control came to
	Outcome string  `json:"outcome"` // how the attack was stopped
	Verdict Verdict `json:"verdict"`
}

// Stopped runs control, which must get through, and then attack, which must not.
// It is one subtest, named after the row, and reports one [Row].
func Stopped(t *testing.T, id, name string, control, attack Probe) {
	t.Helper()
	t.Run(id+" "+name, func(t *testing.T) {
		row := Row{ID: id, Name: name, Test: t.Name(), Verdict: Broken}
		defer func() { report(t, row) }()
		if err := control(t); err != nil {
			row.Control, row.Verdict = err.Error(), NoControl
			t.Fatalf("%s: the control did not get through, so the row shows nothing: %v", id, err)
		}
		row.Control = "got through"
		err := attack(t)
		if err == nil {
			row.Verdict = Leak
			t.Fatalf("%s: %s: the attack got through", id, name)
		}
		if t.Failed() {
			return
		}
		row.Outcome, row.Verdict = err.Error(), Held
		t.Logf("held: %v", err)
	})
}

func report(t *testing.T, row Row) {
	path := os.Getenv("BOTTLED_ATTACK_REPORT")
	if path == "" {
		return
	}
	row.Outcome = strings.Join(strings.Fields(row.Outcome), " ")
	line, err := json.Marshal(row)
	if err == nil {
		err = appendLine(path, line)
	}
	if err != nil {
		t.Errorf("attack report %q: %v", path, err)
	}
}

// appendLine writes line in one write(2) on an O_APPEND file, so that test
// binaries running at the same time do not mix their lines.
func appendLine(path string, line []byte) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}
