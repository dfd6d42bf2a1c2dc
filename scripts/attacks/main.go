// Command attacks prints the attack suite's table from the report that
// BOTTLED_ATTACK_REPORT collected, and fails on a leak, on a row that shows
// nothing, and on a P0 row that is neither tested nor accounted for.
//
//	BOTTLED_ATTACK_REPORT=$PWD/report go test ./... && go run ./scripts/attacks report
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"strings"
	"text/tabwriter"

	"bottled/attack"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: attacks REPORT")
		os.Exit(2)
	}
	ok, err := run(os.Args[1], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "attacks:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func run(path string, to io.Writer) (ok bool, err error) {
	known, err := attack.Rows()
	if err != nil {
		return false, err
	}
	excused, err := attack.Inapplicable()
	if err != nil {
		return false, err
	}
	seen, err := read(path)
	if err != nil {
		return false, err
	}
	if len(seen) == 0 {
		return false, errors.New("the report is empty: no attack ran")
	}
	table(to, seen, excused)
	totals(to, known, seen, excused)
	return complain(to, known, seen, excused), nil
}

// read returns the rows of the report, by id and then by name.
func read(path string) ([]attack.Row, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var rows []attack.Row
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r attack.Row
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		rows = append(rows, r)
	}
	sort.SliceStable(rows, func(i, j int) bool {
		if rows[i].ID != rows[j].ID {
			return rows[i].ID < rows[j].ID
		}
		return rows[i].Name < rows[j].Name
	})
	return rows, lines.Err()
}

func table(to io.Writer, seen []attack.Row, excused []attack.Excuse) {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tATTACK\tCONTROL\tWHAT STOPPED IT\tVERDICT")
	for _, r := range seen {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.ID, clip(r.Name, 48), clip(r.Control, 20), clip(r.Outcome, 60), r.Verdict)
	}
	for _, e := range excused {
		fmt.Fprintf(w, "%s\t%s\t\tchecked by %s\tcannot apply\n", e.ID, clip(e.Reason, 48), e.Check)
	}
	w.Flush()
}

// totals prints, per layer, how many of the known rows were held, and how.
func totals(to io.Writer, known []attack.Known, seen []attack.Row, excused []attack.Excuse) {
	type count struct{ rows, tested, excused, p0, p0Done int }
	counts := make(map[string]*count)
	var layers []string
	for _, k := range known {
		c := counts[k.Layer]
		if c == nil {
			c = new(count)
			counts[k.Layer] = c
			layers = append(layers, k.Layer)
		}
		c.rows++
		done := false
		if slices.ContainsFunc(seen, func(r attack.Row) bool { return r.ID == k.ID && r.Verdict == attack.Held }) {
			c.tested++
			done = true
		} else if slices.ContainsFunc(excused, func(e attack.Excuse) bool { return e.ID == k.ID }) {
			c.excused++
			done = true
		}
		if k.Priority == "P0" {
			c.p0++
			if done {
				c.p0Done++
			}
		}
	}
	fmt.Fprintln(to)
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "LAYER\tROWS\tHELD\tCANNOT APPLY\tNOT TESTED\tP0 DONE\t")
	for _, name := range layers {
		c := counts[name]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d/%d\t\n", name, c.rows, c.tested, c.excused, c.rows-c.tested-c.excused, c.p0Done, c.p0)
	}
	w.Flush()
}

// complain names what must not be: rows that leaked or show nothing, and P0 rows
// that nobody accounts for.
func complain(to io.Writer, known []attack.Known, seen []attack.Row, excused []attack.Excuse) bool {
	var faults []string
	for _, r := range seen {
		if r.Verdict != attack.Held {
			faults = append(faults, fmt.Sprintf("%s %s: %s (%s)", r.ID, r.Name, r.Verdict, r.Test))
		}
	}
	for _, k := range known {
		if k.Priority != "P0" {
			continue
		}
		tested := slices.ContainsFunc(seen, func(r attack.Row) bool { return r.ID == k.ID })
		excuse := slices.ContainsFunc(excused, func(e attack.Excuse) bool { return e.ID == k.ID })
		if !tested && !excuse {
			faults = append(faults, fmt.Sprintf("%s: a P0 row without a test or a reason: %s", k.ID, clip(k.Attack, 80)))
		}
	}
	fmt.Fprintln(to)
	for _, f := range faults {
		fmt.Fprintln(to, "FAULT", f)
	}
	fmt.Fprintf(to, "%d attacks held, %d faults\n", len(seen), len(faults))
	return len(faults) == 0
}

// clip shortens s to n characters for a table cell.
func clip(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}
