package bottle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"bottled/bpf"
	"bottled/cgroup"
	"bottled/policy"
	"bottled/trust"
)

// Bounds of the ended bottles of one user that are still told about: nobody's push out
// another's. A few are, however much their manifests and environments take.
const (
	maxExited      = 128
	maxExitedBytes = 8 << 20
	minExited      = 4
)

// Manager holds the bottles of one daemon. Its methods may be called from several
// goroutines at once; calls for one bottle take turns where they change it.
type Manager struct {
	o        Options
	instance *instance
	base     string // path of the cgroup below which those of all instances are
	cgroups  string // path of the cgroup below which this instance's are
	pins     string // directory in a BPF file system, likewise
	trust    *trust.Host
	floor    atomic.Pointer[policy.Policy] // never nil
	dlpKey   []byte                        // the host's, of fingerprints

	reading   reading
	resolvers *resolvers
	quit      context.CancelFunc // ends what the manager does by itself
	ending    <-chan struct{}    // closed by quit

	mu      sync.Mutex
	closed  bool
	bottles map[string]*bottle // by id
}

// NewManager takes the instance's place in the run directory, adopts what an
// earlier daemon left there whole, and releases every other leaving that no living
// daemon holds. It refuses where another daemon has the place.
func NewManager(ctx context.Context, o Options) (*Manager, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	names, err := newResolvers(o.Resolver)
	if err != nil {
		return nil, err
	}
	base, err := cgroup.Base()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	bpfFS, err := bpf.FS(filepath.Join(o.Run, "bpf"))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	inst, err := openInstance(o.Run, o.Instance)
	if err != nil {
		return nil, err
	}
	place, err := placeOf(o.Run)
	if err != nil {
		inst.close()
		return nil, err
	}
	groups, pins := filepath.Join(base, place), filepath.Join(bpfFS, "bottled", place) // of all instances of this run directory
	m := &Manager{
		o:        o,
		instance: inst,
		base:     base,
		cgroups:  filepath.Join(groups, o.Instance),
		pins:     filepath.Join(pins, o.Instance),
		trust:    trust.NewHost(os.DirFS("/").(fs.ReadLinkFS)),
		dlpKey:   hostDLPKey(o),
		bottles:  make(map[string]*bottle),

		resolvers: names,
	}
	m.SetPolicy(o.Policy)
	for _, dir := range []string{m.cgroups, m.pins} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			inst.close()
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	own, quit := context.WithCancel(context.Background())
	m.quit, m.ending = quit, own.Done()
	m.sweep(groups, pins)
	m.recover(ctx)
	go names.follow(own, m.askOthers)
	return m, nil
}

// askOthers has every enforcer's fence know the name servers that the host asks now.
func (m *Manager) askOthers() {
	m.mu.Lock()
	all := m.sorted(false)
	m.mu.Unlock()
	for _, b := range all {
		if b.running() != nil {
			continue
		}
		b.askOthers()
	}
}

// askOthers has the bottle's fence know the name servers that the host asks now.
func (b *bottle) askOthers() {
	if err := b.fence.ask(b.m.resolvers); err != nil && b.running() == nil {
		b.m.o.Log.Error("cannot tell a fence of the host's new name servers: its bottle resolves no name", "bottle", b.record.ID, "error", err)
	}
}

// private says whether the bottles end with the daemon.
func (m *Manager) private() bool { return strings.HasPrefix(m.o.Instance, selfPrefix) }

// startGrace is how long a daemon that ends waits for starts that are under way.
const startGrace = 2 * time.Second

// Close lets go of everything without ending any bottle: workers and inits go on,
// and the next daemon adopts them. A bottle that cannot be adopted, because the
// instance is not the service's or its start does not come to an end, is stopped.
func (m *Manager) Close() error {
	m.quit()
	m.mu.Lock()
	m.closed = true
	all := m.sorted(true)
	m.mu.Unlock()
	late := time.AfterFunc(startGrace, func() {
		for _, b := range all {
			b.abandon(fmt.Errorf("%w: the daemon ended while it was being made", ErrUnavailable))
		}
	})
	defer late.Stop()
	var errs []error
	for _, b := range all {
		if m.private() {
			errs = append(errs, b.stop(context.Background(), 0, "its daemon ended"))
		} else {
			b.forget()
		}
	}
	if m.private() {
		errs = append(errs, os.RemoveAll(m.instance.dir))
	}
	errs = append(errs, removeEmpty(m.cgroups), removeEmpty(m.pins))
	if filepath.Clean(m.o.Run) != DefaultRun {
		pins, mounted := filepath.Dir(m.pins), filepath.Join(m.o.Run, "bpf")
		errs = append(errs, removeEmpty(filepath.Dir(m.cgroups)), removeEmpty(pins), removeEmpty(filepath.Dir(pins)), bpf.ReleaseFS(mounted))
	}
	m.instance.close()
	return errors.Join(errs...)
}

// sorted returns the bottles, oldest first. The caller holds m.mu.
func (m *Manager) sorted(all bool) []*bottle {
	list := make([]*bottle, 0, len(m.bottles))
	for _, b := range m.bottles {
		if all || b.Info().State != Exited {
			list = append(list, b)
		}
	}
	slices.SortFunc(list, func(x, y *bottle) int { return x.record.Created.Compare(y.record.Created) })
	return list
}

// List returns the caller's bottles, or everybody's for root, oldest first; all
// includes those that have ended.
func (m *Manager) List(c Caller, all bool) []Info {
	m.mu.Lock()
	defer m.mu.Unlock()
	infos := []Info{}
	for _, b := range m.sorted(all) {
		if b.mayTouch(c) {
			infos = append(infos, b.Info())
		}
	}
	return infos
}

// find returns the bottle that the caller means by an id or a name. A stranger's
// bottle and one that is not there are the same answer.
//
// An id goes before every name, or who calls a bottle by another's id would get what
// root means for that one; and a name means the caller's own bottle before another's,
// and none where it could be that of several owners.
func (m *Manager) find(c Caller, ref string) (*bottle, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b := m.bottles[ref]; b != nil && b.mayTouch(c) {
		return b, nil
	}
	// An ended bottle's name may be another's by now: the newest of each owner counts.
	newest := make(map[uint32]*bottle)
	for _, b := range m.sorted(true) {
		if b.mayTouch(c) && b.record.Name == ref {
			newest[b.record.Owner] = b
		}
	}
	if own := newest[c.UID]; own != nil {
		return own, nil
	}
	var ids []string
	for _, b := range newest {
		if len(newest) == 1 {
			return b, nil
		}
		ids = append(ids, b.record.ID)
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("%w: no bottle %q of yours; `bottled ls` lists them", ErrNotFound, ref)
	}
	slices.Sort(ids)
	return nil, fmt.Errorf("%w: %q is a bottle of each of %d users; say which by its id: %s", ErrConflict, ref, len(ids), strings.Join(ids, ", "))
}

// add takes a new bottle of the caller's in, or says why there is no room for it.
func (m *Manager) add(c Caller, b *bottle) error {
	mayOwn, mayAll := m.policy().Bottles(c.subject())
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return fmt.Errorf("%w: the daemon is stopping", ErrUnavailable)
	}
	live, own := 0, 0
	for _, other := range m.bottles {
		if other.Info().State == Exited {
			continue
		}
		live++
		if other.record.Owner == b.record.Owner {
			own++
			if other.record.Name == b.record.Name {
				return fmt.Errorf("%w: you have a bottle %q already; stop it or use another name", ErrConflict, b.record.Name)
			}
		}
	}
	if live >= mayAll || own >= mayOwn {
		return fmt.Errorf("%w: %d bottles are running, %d of them yours; at most %d and %d may", ErrUnavailable, live, own, mayAll, mayOwn)
	}
	m.bottles[b.record.ID] = b
	return nil
}

// remove forgets a bottle at once.
func (m *Manager) remove(b *bottle) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.bottles, b.record.ID)
}

// trim forgets the oldest of the owner's ended bottles that are too many.
func (m *Manager) trim(owner uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var ended []*bottle
	for _, b := range m.sorted(true) {
		if b.record.Owner == owner && b.Info().State == Exited {
			ended = append(ended, b)
		}
	}
	bytes := 0
	for i, b := range slices.Backward(ended) {
		bytes += b.bytes()
		if n := len(ended) - i; n > maxExited || n > minExited && bytes > maxExitedBytes {
			delete(m.bottles, b.record.ID)
		}
	}
}

// bytes is about what the texts of a bottle take of memory.
func (b *bottle) bytes() int {
	n := len(b.manifest())
	for _, list := range [][]string{b.record.Command, b.record.Env} {
		for _, s := range list {
			n += len(s)
		}
	}
	return n
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// now is when a bottle is said to begin.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
