package bottle

import (
	"os"
	"testing"

	"bottled/worker"
)

// TestMain lets the test binary stand for the daemon's: the first process of a
// bottle and its enforcer are the same executable under other names.
func TestMain(m *testing.M) {
	if len(os.Args) > 0 && os.Args[0] == worker.Arg0 {
		os.Exit(worker.Main())
	}
	os.Exit(m.Run())
}
