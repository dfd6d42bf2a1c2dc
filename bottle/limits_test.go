package bottle

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bottled/cgroup"
)

// What a manifest or the operator asks for is what the kernel holds, or there is no
// bottle: the test is of one or the other, as the host has the controllers.
func TestLimitsHoldOrThereIsNoBottle(t *testing.T) {
	const limits = `{memory: 512MiB, processes: 100, cpus: 1.5}`
	files := map[string]string{"memory.max": "536870912", "pids.max": "100", "cpu.max": "150000 100000"}
	for name, c := range map[string]struct{ policy, manifest string }{
		"manifest":       {"", only("") + "bottle: {limits: " + limits + "}\n"},
		"policy":         {"limits: {bottle: " + limits + "}\n", only("")},
		"both":           {"limits: {bottle: {memory: 1GiB, processes: 100, cpus: 1.5}}\n", only("") + "bottle: {limits: {memory: 512MiB}}\n"},
		"without limits": {"", only("")},
	} {
		t.Run(name, func(t *testing.T) {
			m := newManager(t, func(o *Options) { o.Policy = floor(t, c.policy) })
			info, err := sleeper(t, m, someUser, "", c.manifest)
			if name == "without limits" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err != nil {
				if !errors.Is(err, ErrUnavailable) || !errors.Is(err, cgroup.ErrNoController) || !strings.Contains(err.Error(), "bottle.limits") {
					t.Error(err)
				}
				nothingLeft(t, m)
				return
			}
			for file, want := range files {
				got, err := os.ReadFile(filepath.Join(info.Cgroup, file))
				if strings.TrimSpace(string(got)) != want {
					t.Errorf("%s: %q, %v, want %s", file, got, err, want)
				}
			}
		})
	}
}
