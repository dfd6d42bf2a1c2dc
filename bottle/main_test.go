package bottle

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"bottled/worker"
)

// TestMain lets the test binary stand for the daemon's: the first process of a
// bottle and its enforcer are the same executable under other names.
func TestMain(m *testing.M) {
	if len(os.Args) > 0 && os.Args[0] == worker.Arg0 {
		os.Setenv("SSL_CERT_FILE", hostRoots(os.Getppid()))
		os.Exit(worker.Main())
	}
	status := m.Run()
	os.Remove(hostRoots(os.Getpid()))
	os.Exit(status)
}

// hostRoots is where enforcers find the authorities of the host: those of a test
// where it puts some, and otherwise the real ones.
func hostRoots(pid int) string {
	return filepath.Join(os.TempDir(), "bottled-test-roots-"+strconv.Itoa(pid)+".pem")
}
