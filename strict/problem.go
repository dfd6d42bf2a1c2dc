package strict

import (
	"fmt"
	"strings"
)

// A Problem is one thing that is wrong with a document.
type Problem struct {
	File string // as given to the reader
	Line int    // from 1; 0 if it is about the whole
	Key  string // such as egress_proxy.routes[0].auth; "" for the whole
	Text string // what is wrong and what to do
}

func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	if p.Key != "" {
		b.WriteString(": " + p.Key)
	}
	return b.String() + ": " + p.Text
}

// Problems are all that is wrong with a document, by line: at least one.
type Problems []Problem

// Error has one line for each of the first ten problems.
func (p Problems) Error() string {
	const most = 10
	lines := make([]string, 0, most+1)
	for i, problem := range p {
		if i == most {
			lines = append(lines, fmt.Sprintf("... and %d more", len(p)-most))
			break
		}
		lines = append(lines, problem.String())
	}
	return strings.Join(lines, "\n")
}
