package bottle

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"bottled/cgroup"
)

// Doctor names each thing that the programs need, the trial of all of them last, and
// leaves nothing. This host has everything, but for limits perhaps.
func TestDoctor(t *testing.T) {
	m := newManager(t)
	ok, features := m.Doctor(t.Context())
	if !ok {
		t.Error("something is missing")
	}
	var programs []string
	for _, f := range features {
		if name, found := strings.CutPrefix(f.Name, "eBPF "); found {
			programs = append(programs, name)
		}
		if f.Detail == "" || !f.OK && f.Fix == "" || strings.Contains(f.Detail+f.Fix, "\n") {
			t.Errorf("%+v", f)
		}
		if !f.OK && f.Name != "limits" {
			t.Errorf("%s: %s", f.Name, f.Detail)
		}
	}
	if len(programs) < 5 || programs[len(programs)-1] != "complete set" {
		t.Errorf("of the programs: %q", programs)
	}
	nothingLeft(t, m)
}

// Without a ground to try them on the programs are missing, not passed over.
func TestDoctorWithoutGround(t *testing.T) {
	features := new(examination).hooks()
	if len(features) != 1 || features[0].OK || !features[0].Required || features[0].Fix == "" {
		t.Errorf("%+v", features)
	}
}

// A bottle starts without limits where the host has no controllers for them. That a
// limit could not be set for another reason is an error.
func TestLimits(t *testing.T) {
	m := newManager(t)
	g, err := cgroup.Create(filepath.Join(m.cgroups, "limits", "bottle"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(g.Close(), cgroup.Remove(t.Context(), filepath.Dir(g.Path()))); err != nil {
			t.Error(err)
		}
	}()
	for _, l := range []cgroup.Limits{insideLimits, enforcerLimits} {
		if err := m.limit(g, l); err != nil {
			t.Errorf("%+v: %v", l, err)
		}
	}
	elsewhere := &Manager{o: m.o, base: t.TempDir()}
	if err := elsewhere.limit(g, insideLimits); err == nil {
		t.Error("a limit that could not be set was passed over")
	}
}
