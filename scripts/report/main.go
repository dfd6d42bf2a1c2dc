// Command report reads `go test -json` on standard input, prints what a person
// wants to see of it, and fails where a test failed, was skipped, or none ran: a
// test that did not run shows nothing, whatever its reason.
//
// What failed is also written to the file that is named, so that it can stand at the end
// of a long output.
//
//	go test -json ./... | go run ./scripts/report FAILED
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// event is a line of test2json (go doc test2json).
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

// summary is what the lines came to.
type summary struct {
	passed, failed, skipped int
	broken                  []string // packages that did not build or ended outside a test
	output                  map[string]*strings.Builder
	times                   []event // of passed tests that are no part of another
	failures                io.Writer
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: report FAILED")
		os.Exit(2)
	}
	failed, err := os.Create(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(2)
	}
	s := summary{output: make(map[string]*strings.Builder), failures: io.MultiWriter(os.Stdout, failed)}
	if err := errors.Join(s.read(os.Stdin, os.Stdout), failed.Close()); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(2)
	}
	for _, name := range s.broken {
		fmt.Printf("BROKEN %s\n", name)
	}
	s.slowest(os.Stdout)
	fmt.Printf("%d passed, %d failed, %d skipped\n", s.passed, s.failed+len(s.broken), s.skipped)
	if s.failed > 0 || s.skipped > 0 || len(s.broken) > 0 || s.passed == 0 {
		os.Exit(1)
	}
}

func (s *summary) read(from io.Reader, to io.Writer) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(to, lines.Text()) // not of test2json: show it
			continue
		}
		s.take(e, to)
	}
	return lines.Err()
}

func (s *summary) take(e event, to io.Writer) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		if e.Action == "build-output" {
			fmt.Fprint(to, e.Output)
			return
		}
		if s.output[key] == nil {
			s.output[key] = new(strings.Builder)
		}
		s.output[key].WriteString(e.Output)
	case "pass":
		if e.Test == "" {
			fmt.Fprintf(to, "ok   %s  %.1fs\n", e.Package, e.Elapsed)
		} else {
			s.passed++
			if !strings.Contains(e.Test, "/") {
				s.times = append(s.times, e)
			}
		}
		s.figures(key, to)
	case "fail", "skip":
		s.miss(e, key)
	default:
		return
	}
}

// miss reports a test or package that failed or did not run. A package without
// tests is skipped by the go command and is no miss.
func (s *summary) miss(e event, key string) {
	switch {
	case e.Test != "" && e.Action == "fail":
		s.failed++
	case e.Test != "":
		s.skipped++
	case e.Action == "skip":
		delete(s.output, key)
		return
	default:
		s.broken = append(s.broken, e.Package+e.ImportPath)
	}
	fmt.Fprintf(s.failures, "%s %s %s\n", strings.ToUpper(e.Action), e.Package, e.Test)
	if out := s.output[key]; out != nil {
		fmt.Fprint(s.failures, out.String())
	}
	delete(s.output, key)
}

// slowest prints where the time went.
func (s *summary) slowest(to io.Writer) {
	slices.SortFunc(s.times, func(a, b event) int { return cmp.Compare(b.Elapsed, a.Elapsed) })
	for _, e := range s.times[:min(10, len(s.times))] {
		fmt.Fprintf(to, "slow %5.1fs  %s %s\n", e.Elapsed, e.Package, e.Test)
	}
}

// figures prints the lines of a passed test that hold a measurement: those that
// begin with "figure:".
func (s *summary) figures(key string, to io.Writer) {
	out := s.output[key]
	if out == nil {
		return
	}
	for _, line := range strings.Split(out.String(), "\n") {
		if _, text, ok := strings.Cut(line, "figure: "); ok {
			fmt.Fprintf(to, "     %s\n", text)
		}
	}
	delete(s.output, key)
}
