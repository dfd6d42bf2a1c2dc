package bottle

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"bottled/cgroup"
	"bottled/launch"
)

// maxExecs bounds the added commands of a bottle that are told about.
const maxExecs = 128

// execution is a command that was added to a bottle.
type execution struct {
	id      string
	process *overseen
}

// Exec runs one more command in a bottle, as its user, behind the same walls, and
// returns once it was executed.
func (m *Manager) Exec(ctx context.Context, c Caller, ref string, o ExecOptions) (string, int, error) {
	defer o.Stdio.Close()
	b, err := m.find(c, ref)
	if err != nil {
		return "", 0, err
	}
	if err := b.running(); err != nil {
		return "", 0, err
	}
	if len(o.Command) == 0 || o.Command[0] == "" {
		return "", 0, fmt.Errorf("%w: no command was given", ErrInvalid)
	}
	dir := o.Dir
	if dir == "" {
		dir = b.record.Dir
	}
	group, err := cgroup.Open(b.paths.inside())
	if err != nil {
		return "", 0, fmt.Errorf("bottle %q: %w", b.record.Name, err)
	}
	defer group.Close()
	p, err := launch.Exec(ctx, b.init.process, launch.ExecSpec{
		UID: b.record.User.UID, GID: b.record.User.GID,
		Dir: dir, Argv: o.Command, Env: merge(b.record.Env, o.Env), Terminal: o.Terminal,
		UserNamespaces: b.record.UserNamespaces,
	}, group.FD(), o.Stdio.Streams, o.Stdio.Console)
	if err != nil {
		return "", 0, launchError(err)
	}
	e := &execution{id: newID(), process: oversee(p, false)}
	if err := b.addExecution(e); err != nil {
		return "", 0, errors.Join(err, p.Kill())
	}
	return e.id, p.PID(), nil
}

// WaitExec waits for the end of a command that Exec ran.
func (m *Manager) WaitExec(ctx context.Context, c Caller, ref, id string) (Exit, error) {
	b, err := m.find(c, ref)
	if err != nil {
		return Exit{}, err
	}
	e, err := b.execution(id)
	if err != nil {
		return Exit{}, err
	}
	select {
	case <-e.process.done():
		return e.process.status, nil
	case <-ctx.Done():
		return Exit{}, ctx.Err()
	}
}

func (b *bottle) execution(id string) (*execution, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.execs[id]
	if !ok {
		return nil, fmt.Errorf("%w: bottle %q has no exec %q", ErrNotFound, b.record.Name, id)
	}
	return e, nil
}

// addExecution takes the command into account, forgetting ones that have ended
// where there are too many.
func (b *bottle) addExecution(e *execution) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, old := range b.execs {
		if len(b.execs) < maxExecs {
			break
		}
		select {
		case <-old.process.done():
			delete(b.execs, id)
		default:
		}
	}
	if len(b.execs) >= maxExecs {
		return fmt.Errorf("%w: bottle %q runs %d added commands already", ErrUnavailable, b.record.Name, maxExecs)
	}
	b.execs[e.id] = e
	return nil
}

// merge lays the variables of over on those of base; the last of a name counts.
func merge(base []string, over ...[]string) []string {
	var order []string
	values := make(map[string]string)
	for _, list := range append([][]string{base}, over...) {
		for _, kv := range list {
			name, _, _ := strings.Cut(kv, "=")
			if _, seen := values[name]; !seen {
				order = append(order, name)
			}
			values[name] = kv
		}
	}
	merged := make([]string, 0, len(order))
	for _, name := range order {
		merged = append(merged, values[name])
	}
	return merged
}
