package cli

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// table prints rows in aligned columns; the first is the head, and the last column
// is as long as it is.
func (a *App) table(rows [][]string) error {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell)
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		text := line.String()
		if n == 0 {
			text = a.bold(text)
		}
		if _, err := fmt.Fprintln(a.Stdout, text); err != nil {
			return err
		}
	}
	return nil
}

// coloured reports whether standard output shows colours (no-color.org).
func (a *App) coloured() bool {
	none, _ := a.getenv("NO_COLOR")
	kind, _ := a.getenv("TERM")
	return none == "" && kind != "dumb" && term.IsTerminal(int(a.Stdout.Fd()))
}

func (a *App) bold(s string) string  { return a.paint("1", s) }
func (a *App) green(s string) string { return a.paint("32", s) }
func (a *App) red(s string) string   { return a.paint("31", s) }

func (a *App) paint(code, s string) string {
	if !a.coloured() {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func indent(s string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimRight(s, "\n") + "\n") {
		b.WriteString("  " + printable(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String()
}
