package scenario

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bottled/api"
)

const prober = `
curl -sSN https://events.example.com/ &
while :; do
	curl -s --max-time 5 https://other.example.com/ | grep -q host-not-allowed && echo closed || echo OPEN
	sleep 0.1
done`

// TestADaemonThatIsKilled takes nothing with it: a connection goes on, walls stand,
// and the next daemon has the bottle.
func TestADaemonThatIsKilled(t *testing.T) {
	w := newWorld(t)
	w.https(t, "events.example.com", func(w http.ResponseWriter, r *http.Request) {
		for i := 0; r.Context().Err() == nil; i++ {
			fmt.Fprintf(w, "tick %d\n", i)
			w.(http.Flusher).Flush()
			time.Sleep(50 * time.Millisecond)
		}
	})
	other := w.https(t, "other.example.com", greet)
	cmd, out := w.background(t, bottle{manifest: w.only("events.example.com"), flags: []string{"--name", "survivor"}}, "sh", "-c", prober)
	out.await(t, "tick 5\n")
	out.await(t, "closed")
	before := w.list(t)[0]

	w.kill(t)
	seen := strings.Count(out.String(), "tick")
	closed := strings.Count(out.String(), "closed")
	eventually(t, "ticks and probes while there is no daemon", 20*time.Second, func() error {
		text := out.String()
		if strings.Count(text, "tick") < seen+20 || strings.Count(text, "closed") < closed+3 {
			return fmt.Errorf("%d ticks, %d probes", strings.Count(text, "tick")-seen, strings.Count(text, "closed")-closed)
		}
		return nil
	})

	w.start(t)
	list := w.list(t)
	if len(list) != 1 || list[0].ID != before.ID || list[0].State != api.Running || !list[0].Adopted || list[0].WorkerPID != before.WorkerPID {
		t.Fatalf("the next daemon has %+v; before: %+v", list, before)
	}
	seen = strings.Count(out.String(), "tick")
	eventually(t, "ticks under the next daemon", 20*time.Second, func() error {
		if n := strings.Count(out.String(), "tick"); n < seen+10 {
			return fmt.Errorf("%d", n-seen)
		}
		return nil
	})
	if r := w.client(t, nil, "exec", "survivor", "--", "echo", "still", "here"); !r.ok("still here") {
		t.Errorf("exec in an adopted bottle: %v", r)
	}
	if r := w.client(t, nil, "stop", "--grace", "1", "survivor"); r.code != 0 {
		t.Errorf("stop: %v", r)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 128+15 && code != 128+9 {
		t.Errorf("the client ended with %d: %s", code, clip(out.String()))
	}
	if text := out.String(); strings.Contains(text, "OPEN") || strings.Contains(text, greeting) || other.Opened() != 0 {
		t.Errorf("the bottle was open in between: %s", clip(text))
	}
	nothingLeft(t, w.daemon, before)
}

// nothingLeft looks for what a bottle that is gone held.
func nothingLeft(t *testing.T, d *daemon, b api.Bottle) {
	t.Helper()
	for _, pid := range []int{b.PID, b.WorkerPID} {
		// One that is dead and waits for the host's init to reap it is none any more.
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && !strings.Contains(string(text), ") Z ") {
			t.Errorf("process %d is left: %s", pid, text)
		}
	}
	paths := []string{b.Cgroup, filepath.Dir(b.Cgroup)}
	for _, pattern := range []string{"/sys/fs/bpf/bottled/*/*/" + b.ID, d.state + "/bpf/bottled/*/*/" + b.ID, d.state + "/*/bottles/" + b.ID} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	for _, path := range paths {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is left", path)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), b.ID) {
		t.Errorf("a mount is left, or %v", err)
	}
}
