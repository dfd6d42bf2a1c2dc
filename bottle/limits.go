package bottle

import (
	"errors"
	"fmt"
	"time"

	"bottled/cgroup"
	"bottled/routes"
)

// What the groups of a bottle may use where nobody says otherwise, so that no bottle
// takes a host down by accident. An enforcer that needs more is broken, and its end is
// its bottle's.
var (
	insideLimits   = cgroup.Limits{Processes: 16384}
	enforcerLimits = cgroup.Limits{Processes: 512, Memory: 1 << 30}
)

// limitInside sets what the programs of a bottle may use. What its manifest or the
// operator asked for holds, or there is no bottle.
func (m *Manager) limitInside(g *cgroup.Group, asked routes.Limits) error {
	asked, _ = asked.Within(m.policy().Limits())
	err := g.Limit(m.base, cgroup.Limits{
		Memory: asked.Memory, Processes: asked.Processes, CPU: time.Duration(asked.MilliCPUs) * cgroup.CPUPeriod / 1000,
	})
	if err != nil {
		return fmt.Errorf("%w: limits of the bottle: %w; remove them from bottle.limits of the manifest, or from limits.bottle of the policy", ErrUnavailable, err)
	}
	if asked.Processes > 0 {
		return nil
	}
	return m.limit(g, insideLimits)
}

// limit sets the limits of which the host has given the controllers away. They guard
// the host's resources and not its secrets, so a bottle starts without those that are
// not there; doctor names them.
func (m *Manager) limit(g *cgroup.Group, l cgroup.Limits) error {
	err := g.Limit(m.base, l)
	if errors.Is(err, cgroup.ErrNoController) {
		m.o.Log.Debug("started without a limit", "cgroup", g.Path(), "error", err)
		return nil
	}
	return err
}

func (x *examination) limit() (string, error) {
	if x.group == nil {
		return "", errEarlier
	}
	err := x.group.Limit(x.base, enforcerLimits)
	if errors.Is(err, cgroup.ErrNoController) {
		err = cgroup.ErrNoController // once, however many are missing
	}
	return "processes, memory", err
}
