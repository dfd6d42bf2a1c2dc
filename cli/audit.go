package cli

import (
	"fmt"
	"os"

	"bottled/audit"
)

func (a *App) audit(args []string) (int, error) {
	f := flags("audit")
	if err := parse(f, args); err != nil {
		return 0, err
	}
	if f.NArg() < 2 || f.Arg(0) != "verify" {
		return 0, usagef("say verify and the files, oldest first; one file is taken with those that were rotated away from it")
	}
	files := f.Args()[1:]
	if len(files) == 1 {
		var err error
		if files, err = audit.Files(files[0]); err != nil {
			return 0, err
		}
	}
	return a.verifyAudit(files)
}

// verifyAudit checks the files as one chain. The first is taken at its word for what
// came before it: older ones may have been rotated away.
func (a *App) verifyAudit(files []string) (int, error) {
	start := audit.Any
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			return 0, err
		}
		head, err := audit.Verify(file, start)
		file.Close()
		if err != nil {
			fmt.Fprintf(a.Stdout, "%s: %s: %v\n", a.red("broken"), printable(name), err)
			return exitFailure, nil
		}
		fmt.Fprintf(a.Stdout, "%s: %s: up to seq %d, hash %s\n", a.green("whole"), printable(name), head.Seq, head.Hash)
		start = audit.From(head)
	}
	return 0, nil
}
