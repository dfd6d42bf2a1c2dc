package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scenarios call the program itself; the daemon starts it again by its own
// executable, under the names that main looks at.
func TestMain(m *testing.M) {
	if len(os.Args) > 0 && os.Args[0] == "bottled-worker" {
		main()
	}
	testscript.Main(m, map[string]func(){"bottled": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true})
}
