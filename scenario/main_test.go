package scenario

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	// What the program is made of, so that a cached result is one of the same program.
	_ "bottled/cli"
	_ "bottled/daemon"
)

// built are the programs that the scenarios run, by name.
var built = map[string]string{"bottled": "../cmd/bottled", "goclient": "./testdata/goclient"}

// bin is where they are, readable by everybody.
var bin string

func TestMain(m *testing.M) {
	status, err := func() (int, error) {
		dir, err := os.MkdirTemp("", "bottled-scenario-bin-")
		if err != nil {
			return 1, err
		}
		defer os.RemoveAll(dir)
		if err := os.Chmod(dir, 0o755); err != nil {
			return 1, err
		}
		bin = dir
		for name, source := range built {
			cmd := exec.Command("go", "build", "-o", filepath.Join(dir, name), source)
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := cmd.CombinedOutput(); err != nil {
				return 1, fmt.Errorf("build %s: %w\n%s", source, err, out)
			}
		}
		return m.Run(), nil
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(status)
}

func program(name string) string { return filepath.Join(bin, name) }
