package bottle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bottled/bpf"
	"bottled/cgroup"
	"bottled/netns"
	"bottled/worker"
)

// adoptTimeout bounds how long a worker may take to answer a new daemon.
const adoptTimeout = 5 * time.Second

// recover takes over what an earlier daemon of this instance left: a bottle that is
// whole goes on, and everything else is released, be it a record without a process
// or a cgroup without a record.
func (m *Manager) recover(ctx context.Context) {
	state := filepath.Join(m.instance.dir, "bottles")
	for _, id := range names(state, m.cgroups, m.pins) {
		b, hooks, err := m.adopt(ctx, id)
		if err == nil {
			m.o.Log.Info("bottle adopted", "bottle", id, "name", b.record.Name, "owner", b.record.Owner)
			m.take(b, hooks)
			continue
		}
		if released := m.release(m.paths(id)); released != nil {
			m.o.Log.Error("cannot release what an earlier daemon left; the next start tries again", "bottle", id, "error", errors.Join(err, released))
			continue
		}
		m.o.Log.Info("released what an earlier daemon left", "bottle", id, "why", err)
	}
}

// take begins the oversight of an adopted bottle.
func (m *Manager) take(b *bottle, hooks *bpf.Hooks) {
	m.mu.Lock()
	m.bottles[b.record.ID] = b
	m.mu.Unlock()
	b.resumeTerms()
	b.setState(Running, nil)
	b.attach()
	go b.supervise()
	go b.witness(hooks)
	go b.renew()
}

// adopt verifies that the bottle is what its record says and that every wall
// stands, and takes charge of it. Whatever differs is an error: a process whose
// number is another's by now, another namespace or cgroup, a missing link, a
// ruleset that was changed, a worker that does not answer.
func (m *Manager) adopt(ctx context.Context, id string) (*bottle, *bpf.Hooks, error) {
	p := m.paths(id)
	r, err := loadRecord(p.state)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, errors.New("it has no record")
	}
	if err != nil {
		return nil, nil, err
	}
	if r.Init.Start == 0 || r.Worker.Start == 0 {
		return nil, nil, errors.New("its start was not complete")
	}
	if !r.Worker.alive() {
		return nil, nil, errors.New("its enforcer has ended")
	}
	b := newBottle(m, *r)
	if b.init, err = adoptProcess(r.Init); err != nil {
		return nil, nil, fmt.Errorf("init: %w", err)
	}
	if err := verifyNamespace(r); err != nil {
		return nil, nil, err
	}
	hooks, err := verifyHooks(p, r)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, adoptTimeout)
	defer cancel()
	if b.worker, err = worker.Dial(ctx, r.Worker.PID, p.control()); err != nil {
		return nil, nil, errors.Join(err, hooks.Close())
	}
	if b.fence, err = openFence(p, r.Worker); err != nil {
		return nil, nil, errors.Join(err, hooks.Close())
	}
	stats, err := b.worker.Stats(ctx)
	if err == nil {
		err = b.resumeFence(stats.Generation == r.Generation)
	}
	if err != nil {
		return nil, nil, errors.Join(err, hooks.Close(), b.fence.Close())
	}
	// The enforcer knows best: a daemon may have ended between an update and its record.
	if stats.Generation != r.Generation {
		// Which token is in which slot by now nobody knows, so none of them is kept.
		b.record.Slots, b.record.Subject = nil, nil
	}
	b.record.Generation, b.record.Routes = stats.Generation, stats.Routes
	return b, hooks, nil
}

// verifyNamespace checks that init still is in the recorded namespace and that the
// namespace is as it was made.
func verifyNamespace(r *record) error {
	ns, err := netns.OpenPID(r.Init.PID, netns.ID{Inode: r.NetNS, Cookie: r.NetNSCookie})
	if err != nil {
		return err
	}
	defer ns.Close()
	different, err := ns.Diff(netns.Default())
	if err != nil {
		return err
	}
	if len(different) > 0 {
		return fmt.Errorf("its namespace was changed: %s", strings.Join(different, "; "))
	}
	return nil
}

// verifyHooks checks that the processes' cgroup is the recorded one, that init is
// in it, and that the complete set of programs is attached.
func verifyHooks(p paths, r *record) (*bpf.Hooks, error) {
	group, err := cgroup.Open(p.inside())
	if err != nil {
		return nil, err
	}
	defer group.Close()
	if group.ID() != r.CgroupID {
		return nil, fmt.Errorf("cgroup %q is %d, not %d", p.inside(), group.ID(), r.CgroupID)
	}
	members, err := group.Processes()
	if err != nil {
		return nil, err
	}
	if !slices.Contains(members, r.Init.PID) {
		return nil, fmt.Errorf("init, process %d, is not in cgroup %q: its programs do not hold it", r.Init.PID, p.inside())
	}
	hooks, err := bpf.Open(p.hooks())
	if err != nil {
		return nil, err
	}
	if err := hooks.Verify(group.FD(), r.NetNSCookie); err != nil {
		return nil, errors.Join(err, hooks.Close())
	}
	return hooks, nil
}
