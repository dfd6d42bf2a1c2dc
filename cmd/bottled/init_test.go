package main

import (
	"os/exec"
	"strings"
	"testing"
)

// TestTheFirstProcessStartsAlone: what only other parts need is not initialised in the
// first process of a bottle, of which a host has a thousand. The control is the same
// executable as itself.
func TestTheFirstProcessStartsAlone(t *testing.T) {
	initialised := func(args ...string) string {
		var trace strings.Builder
		cmd := exec.Cmd{Path: "/proc/self/exe", Args: args, Env: []string{"GODEBUG=inittrace=1"}, Stderr: &trace}
		_ = cmd.Run() // the first process fails: it has no plan
		return trace.String()
	}
	alone, whole := initialised("bottled-init"), initialised("bottled", "version")
	if !strings.Contains(alone, "\ninit os ") {
		t.Fatalf("no trace of the first process: %q", alone)
	}
	for _, name := range []string{"net/http", "crypto/x509", "bottled/bottle", "bottled/metrics"} {
		line := "\ninit " + name + " "
		if strings.Contains(alone, line) {
			t.Errorf("%s is initialised in the first process", name)
		}
		if !strings.Contains(whole, line) {
			t.Errorf("%s is not initialised in the control", name)
		}
	}
}
