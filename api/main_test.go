package api

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// The test program is also the peers of the tests, as other users: see as.
func TestMain(m *testing.M) {
	if role := os.Getenv("BOTTLED_TEST_PEER"); role != "" {
		fmt.Print(peers[role]())
		os.Exit(0)
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "these tests need root: they are peers of several uids")
		os.Exit(1)
	}
	// The program is built into a directory of root's own; a copy is for everybody.
	if err := copySelf(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(filepath.Dir(selfCopy))
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

var selfCopy string

func copySelf() error {
	dir, err := os.MkdirTemp("", "bottled-api-test-")
	if err != nil {
		return err
	}
	selfCopy = filepath.Join(dir, "peer")
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(selfCopy, self, 0o755)
	}
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	return err
}
