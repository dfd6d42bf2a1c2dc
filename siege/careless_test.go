package siege

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bottled/api"
	"bottled/upstreamtest"
)

// What a careless launcher, daemon or enforcer does with a credential: each search for
// one shows on it that it finds it.

// carelessPages serves the credential on every page, as a debug page shows what a
// process was started with.
func carelessPages(t *testing.T) string {
	t.Helper()
	s, err := upstreamtest.Plain("127.0.0.1:0", func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(rw, "cmdline: enforcer --token %s\n", tokenA)
	})
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s.Addr.String()
}

// carelessRequest is what was asked of the daemon, as it is.
func carelessRequest() api.CreateRequest {
	return api.CreateRequest{Name: "alpha", Tokens: map[string]string{"ALPHA": tokenA}}
}

// carelessChild is a process that has the credential in its environment.
func carelessChild(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	cmd.Env = []string{"ALPHA=" + tokenA}
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd.Process.Pid
}

// carelessState is a state directory with the credential in one of its files.
func carelessState(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "host", "bottles", "x"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "host", "bottles", "x", "bottle.json"), []byte(fmt.Sprintf("%+v", carelessRequest())), 0o600))
	return dir
}

// carelessLog is the log of a daemon that logs what it is asked.
func carelessLog() string {
	var text bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("api", "request", carelessRequest())
	return text.String()
}

// inMemory succeeds where a process has the credential in its memory, which is what a
// core file of it is.
func inMemory(t *testing.T, pid int) error {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	must(t, err)
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	must(t, err)
	defer mem.Close()
	for lines := bufio.NewScanner(bytes.NewReader(maps)); lines.Scan(); {
		var from, to int64
		var rights string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &rights); err != nil || !strings.HasPrefix(rights, "rw") || to-from > 256<<20 {
			continue
		}
		text := make([]byte, to-from)
		n, _ := mem.ReadAt(text, from) // what is not there any more has no credential
		if bytes.Contains(text[:n], []byte(tokenA)) {
			return nil
		}
	}
	return errors.New("not in its memory")
}
