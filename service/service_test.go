package service

import (
	"encoding/json"
	"strings"
	"testing"
)

// probe asks for a host that the table does not have; the enforcer's own answer is
// how one sees that it is at work.
const probe = `curl -sS -o /dev/null -w '%{http_code}' https://not-allowed.example/`

// bottleInfo is what `bottled ls --json` prints of one.
type bottleInfo struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	PID     int    `json:"pid"`
	Worker  int    `json:"worker_pid"`
	Adopted bool   `json:"adopted"`
}

func list(t *testing.T, b *box) []bottleInfo {
	t.Helper()
	var all []bottleInfo
	out := b.run(t, "bottled", "ls", "--json")
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatalf("bottled ls --json: %v\n%s", err, out)
	}
	return all
}

// TestService walks through the life of the unit; each part needs the one before.
func TestService(t *testing.T) {
	b := newBox(t)

	// Type=notify: start returns once the API is served.
	b.run(t, "systemctl", "start", "bottled")
	if out := b.run(t, "bottled", "doctor"); strings.Contains(out, "MISSING") {
		t.Errorf("doctor in the unit's host:\n%s", out)
	}
	t.Logf("figure: systemd-analyze security: %s", lastLine(b.run(t, "systemd-analyze", "security", "--no-pager", "bottled.service")))

	// A member of the group launches without sudo, a stranger does not.
	if out := b.run(t, as(tester, "bottled run -- "+probe)...); out != "403" {
		t.Errorf("a member's bottle: %q", out)
	}
	if out, err := b.try(as(stranger, "bottled run -- true")...); err == nil {
		t.Errorf("a stranger launched: %q", out)
	}

	b.run(t, as(tester, "bottled run --detach --name survivor -- sleep 1000")...)
	before := list(t, b)
	if len(before) != 1 || before[0].Name != "survivor" || before[0].Adopted {
		t.Fatalf("after the launch: %+v", before)
	}
	same := func(when string) {
		t.Helper()
		until(t, "the daemon answers "+when, func() bool { _, err := b.try("bottled", "ls"); return err == nil })
		after := list(t, b)
		if len(after) != 1 || after[0].ID != before[0].ID || after[0].PID != before[0].PID || after[0].Worker != before[0].Worker || !after[0].Adopted {
			t.Fatalf("%s: %+v, was %+v", when, after, before)
		}
		if out := b.run(t, as(tester, "bottled exec survivor -- "+probe)...); out != "403" {
			t.Fatalf("%s: the bottle gets %q", when, out)
		}
	}
	b.run(t, "systemctl", "restart", "bottled")
	same("after a restart")
	b.run(t, "systemctl", "kill", "--kill-who=main", "-s", "KILL", "bottled")
	same("after SIGKILL")
	b.run(t, "systemctl", "stop", "bottled")
	if _, err := b.try("bottled", "ls"); err == nil {
		t.Error("the daemon answers after it was stopped")
	}
	b.run(t, "systemctl", "start", "bottled")
	same("after stop and start")

	b.run(t, as(tester, "bottled stop survivor")...)
	if left := list(t, b); len(left) != 0 {
		t.Errorf("after stop: %+v", left)
	}
	if out, _ := b.try("bash", "-c", `find /sys/fs/cgroup -path '*bottled*' -name worker; find /sys/fs/bpf/bottled -type f; ls /run/bottled/host/bottles; pgrep -l bottled-`); out != "" {
		t.Errorf("left behind:\n%s", out)
	}
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
