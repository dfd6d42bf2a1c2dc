// Command bench measures what a bottle costs, each figure against the same thing
// without one, in turn within one run, so that the ratio holds where the machine's
// speed does not.
//
//	sudo go run ./scripts/bench [-rounds N] [-seconds N] bin/bottled
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == loadArg {
		os.Exit(load(os.Args[2:]))
	}
	rounds := flag.Int("rounds", 15, "launches to time")
	seconds := flag.Int("seconds", 3, "seconds of load in each direction")
	flag.Parse()
	if flag.NArg() != 1 || os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "usage, as root: bench [-rounds N] [-seconds N] PATH-OF-BOTTLED")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *rounds, time.Duration(*seconds)*time.Second); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(bottled string, rounds int, load time.Duration) error {
	path, err := filepath.Abs(bottled)
	if err != nil {
		return err
	}
	w, err := newWorld(path)
	if err != nil {
		return err
	}
	defer w.close()
	for _, figure := range []func() error{
		func() error { return w.launches(rounds) },
		w.memory,
		func() error { return w.requests(load) },
	} {
		if err := figure(); err != nil {
			return err
		}
	}
	return nil
}
