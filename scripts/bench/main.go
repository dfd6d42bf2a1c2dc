// Command bench measures what a bottle costs, each figure against the same thing
// without one, in turn within one run, so that the ratio holds where the machine's
// speed does not.
//
//	sudo go run ./scripts/bench [-rounds N] [-seconds N] [-only NAMES] bin/bottled
//
// Requests go from one client to one upstream by three ways: through a bottle, through
// a relay that copies bytes and looks at none, and directly. Whatever is in the middle
// has a processor to itself and everything else shares the others, so that the rate is
// what one processor carries, where the ends can keep up. They do as little as they can
// for that: HTTP in bytes made beforehand, over crypto/tls. Besides the rate, what
// counts is the processor time for each request of the process in the middle.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// roles are the other processes of a measurement, which are this program too.
var roles = map[string]func(args []string) int{"load": load, "relay": relay, "upstream": upstream}

func main() {
	if len(os.Args) > 1 && roles[os.Args[1]] != nil {
		os.Exit(roles[os.Args[1]](os.Args[2:]))
	}
	rounds := flag.Int("rounds", 15, "launches to time")
	seconds := flag.Int("seconds", 2, "seconds of load of each kind, each way")
	only := flag.String("only", "launch,memory,get,post,download,h2,new", "what to measure, with commas")
	flag.Parse()
	if flag.NArg() != 1 || os.Geteuid() != 0 || *rounds < 1 || *seconds < 1 {
		fmt.Fprintln(os.Stderr, "usage, as root: bench [-rounds N] [-seconds N] [-only NAMES] PATH-OF-BOTTLED")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *rounds, time.Duration(*seconds)*time.Second, strings.Split(*only, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(bottled string, rounds int, length time.Duration, only []string) error {
	path, err := filepath.Abs(bottled)
	if err != nil {
		return err
	}
	w, err := newWorld(path)
	if err != nil {
		return err
	}
	defer w.close()
	figures := map[string]func() error{
		"launch": func() error { return w.launches(rounds) },
		"memory": w.memory,
	}
	for _, k := range kinds {
		figures[k.name] = func() error { return w.requests(k, length) }
	}
	for _, name := range only {
		figure, known := figures[name]
		if !known {
			return fmt.Errorf("-only: there is no %q", name)
		}
		if err := figure(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
