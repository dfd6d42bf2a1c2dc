package siege

import (
	"errors"
	"strings"
	"testing"

	"bottled/attack"
)

// TestAttackStatus asks a daemon on a kernel that lacks something whether all is well.
func TestAttackStatus(t *testing.T) {
	fine := func(mask string) attack.Probe {
		return func(t *testing.T) error {
			c := newConfig(t)
			c.Mask = mask
			d, err := c.launch()
			if err != nil {
				return err
			}
			defer d.end(t)
			said, err := d.Doctor(t.Context())
			if err != nil {
				return err
			}
			if said.OK {
				return nil
			}
			var missing []string
			for _, f := range said.Features {
				if !f.OK && f.Required {
					missing = append(missing, f.Name)
				}
				if !f.OK && f.Fix == "" {
					t.Errorf("nothing is said of what to do: %+v", f)
				}
			}
			return errors.New("missing: " + strings.Join(missing, ", "))
		}
	}
	control := fine("")(t)
	for _, mask := range []string{"bpf", "nftables", "seccomp"} {
		attack.Stopped(t, "V03", "status of a kernel without "+mask, func(*testing.T) error { return control }, fine(mask))
	}
}
