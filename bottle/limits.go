package bottle

import (
	"errors"

	"bottled/cgroup"
)

// What the groups of a bottle may use, so that no bottle takes a host down by
// accident. An enforcer that needs more is broken, and its end is its bottle's.
var (
	insideLimits   = cgroup.Limits{Processes: 16384}
	enforcerLimits = cgroup.Limits{Processes: 512, Memory: 1 << 30}
)

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
