package bottle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"bottled/bpf"
	"bottled/cgroup"
)

// paths are the places of one bottle in the three trees that outlive a daemon.
type paths struct {
	state  string // directory of the record, the control socket, and what the enforcer had to say
	cgroup string // group with the children below
	pins   string // of links and maps: directories of its hooks and of its enforcer's fence
}

// The children of a bottle's cgroup: the hooks are on the one and must not bind
// the other, which has its fence.
const (
	insideGroup = "bottle"
	workerGroup = "worker"
)

func (m *Manager) paths(id string) paths {
	return paths{
		state:  filepath.Join(m.instance.dir, "bottles", id),
		cgroup: filepath.Join(m.cgroups, id),
		pins:   filepath.Join(m.pins, id),
	}
}

func (p paths) control() string { return filepath.Join(p.state, "worker.sock") }
func (p paths) words() string   { return filepath.Join(p.state, "worker.err") }
func (p paths) inside() string  { return filepath.Join(p.cgroup, insideGroup) }
func (p paths) worker() string  { return filepath.Join(p.cgroup, workerGroup) }
func (p paths) hooks() string   { return filepath.Join(p.pins, "bottle") }
func (p paths) fence() string   { return filepath.Join(p.pins, "enforcer") }

// releaseStep gives back one thing that a bottle holds, or nothing where it is gone.
type releaseStep struct {
	name string
	do   func(*Manager, context.Context, paths) error
}

// releaseSteps is the order in which a bottle goes: the processes first, so that at
// no time one of them runs with a wall less, and the record last, so that nothing is
// there that nobody knows of. The network namespace goes with the last process and
// listener in it.
var releaseSteps = []releaseStep{
	{"processes", func(_ *Manager, ctx context.Context, p paths) error { return killGroup(ctx, p.cgroup) }},
	{"programs", func(_ *Manager, _ context.Context, p paths) error { return bpf.Remove(p.pins) }},
	{"state", (*Manager).removeState},
}

// release gives back all that a bottle holds on the host, whatever part of it is
// there; to release what does not exist succeeds. After an error the rest is left
// for [Manager.insist] or the next start: what is left stands guard over what may still run.
func (m *Manager) release(p paths) error {
	ctx, cancel := context.WithTimeout(context.Background(), killTimeout)
	defer cancel()
	for i, step := range releaseSteps {
		if err := m.o.Fault("release", i+1, step.name); err != nil {
			return fmt.Errorf("release %s: %w", step.name, err)
		}
		if err := step.do(m, ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// retryRelease is how soon what could not be released is tried again.
const retryRelease = 2 * time.Second

// insist goes on releasing a bottle of which something is left, whyever that was, until
// nothing is, or the daemon ends: then the next start tries again, and it reports false. Its
// owner may have a bottle less meanwhile, or what cannot be released would be without end.
func (m *Manager) insist(b *bottle, why error) bool {
	if why != nil {
		m.o.Log.Error("cannot release a bottle; it is tried again", "bottle", b.record.ID, "error", why)
	}
	for why != nil {
		select {
		case <-m.ending:
			return false
		case <-time.After(retryRelease):
			why = m.release(b.paths)
		}
	}
	return true
}

// killTimeout bounds how long killed processes may take to be gone: one that sleeps
// in the kernel without listening to signals (a dead file server) would hold it for ever.
const killTimeout = 30 * time.Second

// killGroup ends every process in the group at path and removes it.
func killGroup(ctx context.Context, path string) error {
	g, err := cgroup.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer g.Close()
	if err := g.Kill(ctx); err != nil {
		return err
	}
	return cgroup.Remove(ctx, path)
}
