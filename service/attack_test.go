package service

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"bottled/attack"
)

// The first call to the socket starts the daemon. One that waits there for a daemon that
// does not get through its checks launches nothing.
func TestAttackEarlyCall(t *testing.T) {
	b := newBox(t)
	launch := func(t *testing.T) error {
		b.run(t, "systemctl", "start", "bottled.socket")
		if out, _ := b.try("systemctl", "is-active", "bottled.service"); out == "active" {
			t.Error("the service is active before the first call")
		}
		out, err := b.try(as(tester, "timeout 20 bottled run -- "+probe)...)
		if out == "403" {
			return nil
		}
		return fmt.Errorf("%s: %w", lastLine(out), errors.Join(errors.New("no bottle"), err))
	}
	attack.Stopped(t, "R19", "a call before the policy is read",
		func(t *testing.T) error {
			err := launch(t)
			b.run(t, "systemctl", "is-active", "bottled.service")
			b.run(t, "systemctl", "stop", "bottled.service", "bottled.socket")
			return err
		},
		func(t *testing.T) error {
			b.run(t, "bash", "-c", "mkdir -p /etc/bottled && echo nonsense > /etc/bottled/policy.yaml")
			return launch(t)
		})
}

// A unit that protects its daemon from the OOM killer lets the daemon set the least
// score that its children can go back to, which takes CAP_SYS_RESOURCE.
func TestUnitScore(t *testing.T) {
	unit, err := os.ReadFile("../scripts/bottled.service")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(unit)) {
		if set, ok := strings.CutPrefix(line, "CapabilityBoundingSet="); ok && slices.Contains(strings.Fields(set), "CAP_SYS_RESOURCE") {
			return
		}
	}
	if strings.Contains(string(unit), "OOMScoreAdjust=-") {
		t.Error("a bottle can take the daemon's OOMScoreAdjust= back")
	}
}
