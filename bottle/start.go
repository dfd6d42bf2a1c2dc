package bottle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"bottled/audit"
	"bottled/bpf"
	"bottled/ca"
	"bottled/cgroup"
	"bottled/launch"
	"bottled/netns"
	"bottled/trust"
	"bottled/worker"
)

// Create makes a bottle and runs a command in it. It returns once the command was
// executed; on any error nothing of the bottle is left.
//
// The files of o.Stdio are the Manager's from here on, whatever the outcome.
func (m *Manager) Create(ctx context.Context, c Caller, o CreateOptions) (Info, error) {
	defer o.Stdio.Close()
	p, err := m.plan(ctx, c, o)
	if err != nil {
		return Info{}, err
	}
	if err := p.checkDir(); err != nil {
		return Info{}, err
	}
	b := newBottle(m, p.record(c, newID(), now()))
	ctx, b.abandon = context.WithCancelCause(ctx)
	defer b.abandon(nil)
	if err := m.add(c, b); err != nil {
		return Info{}, err
	}
	began := time.Now()
	s := &start{ctx: ctx, m: m, b: b, record: b.record, plan: p, stdio: o.Stdio, net: netns.Default()}
	if s.tokens, err = m.tokens(ctx, c.subject(), p.table, o.Tokens); err == nil {
		err = s.run(ctx)
	}
	if err != nil {
		b.setState(Stopping, nil)
		if s.left == nil {
			b.forgetStart()
		} else {
			go func() {
				m.insist(b, s.left)
				b.forgetStart()
			}()
		}
		m.o.Audit.Record(audit.Event{
			Time: now(), Kind: audit.Control, Owner: b.record.owner(),
			Reason: ReasonFailed, Duration: time.Since(began),
		})
		if cause := context.Cause(ctx); errors.Is(cause, ErrUnavailable) && !errors.Is(err, cause) {
			err = fmt.Errorf("%w (%w)", cause, err)
		}
		return Info{}, err
	}
	b.setTerms(p.table, s.tokens, nil)
	b.attach()
	b.begin(s.record)
	b.askOthers() // they may have changed while it was not among those that run
	go b.supervise()
	go b.witness(s.hooks)
	go b.renew()
	m.o.Log.Info("bottle started", "bottle", b.record.ID, "name", b.record.Name, "owner", c.UID, "pid", b.record.Init.PID)
	m.o.Audit.Record(audit.Event{
		Time: now(), Kind: audit.Control, Bottle: b.record.ID, Owner: b.record.owner(),
		Generation: b.record.Generation, Verdict: audit.Allow, Reason: ReasonStarted, Duration: time.Since(began),
	})
	return b.Info(), nil
}

// forgetStart is the end of a bottle that never ran.
func (b *bottle) forgetStart() {
	b.m.remove(b)
	close(b.ended) // for who asked to stop it meanwhile
}

// plan is [prepare] held to the operator's floor, with nothing missing.
func (m *Manager) plan(ctx context.Context, c Caller, o CreateOptions) (*plan, error) {
	end, err := m.reading.begin(ctx, c.UID)
	if err != nil {
		return nil, err
	}
	defer end()
	p, err := prepare(c, o)
	if err != nil {
		return nil, err
	}
	if p.table, err = m.admit(c.subject(), p.table); err != nil {
		return nil, err
	}
	return p, p.complete(o.Tokens)
}

// start is a bottle in the making.
type start struct {
	m      *Manager
	b      *bottle
	record record          // becomes the bottle's once it runs: others look at that one meanwhile
	ctx    context.Context // of who asked for it
	plan   *plan
	tokens map[string]lent // by reference
	stdio  Stdio
	net    netns.Plan

	inside, outside *cgroup.Group // of its processes, and of its enforcer
	namespace       *netns.Namespace
	hooks           *bpf.Hooks
	listeners       *netns.Listeners
	authority       *ca.Authority
	prepared        *launch.Prepared // until its command runs
	left            error            // why not all of it could be undone
}

// undo releases everything and waits for the children, which are dead by then.
func (s *start) undo() error {
	if s.prepared != nil {
		s.prepared.Discard()
	}
	err := s.m.release(s.b.paths)
	s.left = err
	if err == nil && s.b.worker != nil {
		s.b.worker.Discard()
	}
	if err == nil && s.b.init != nil {
		<-s.b.init.done()
	}
	if s.hooks != nil {
		err = errors.Join(err, s.hooks.Close())
	}
	if s.b.fence != nil {
		err = errors.Join(err, s.b.fence.Close())
	}
	return err
}

// closeHandles closes what only the making needed: others hold the namespace and
// the listeners open from here on, or nobody does.
func (s *start) closeHandles() {
	for _, g := range []*cgroup.Group{s.inside, s.outside} {
		if g != nil {
			g.Close()
		}
	}
	if s.namespace != nil {
		s.namespace.Close()
	}
	if s.listeners != nil {
		s.listeners.Close()
	}
}

func (s *start) makeRecord() error {
	if err := os.Mkdir(s.b.paths.state, 0o700); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	if err := s.record.save(s.b.paths.state); err != nil {
		return err
	}
	if err := os.Mkdir(s.b.paths.pins, 0o700); err != nil {
		return fmt.Errorf("directory of pins: %w", err)
	}
	return nil
}

func (s *start) makeCgroups() (err error) {
	if s.inside, err = cgroup.Create(s.b.paths.inside()); err != nil {
		return err
	}
	if s.outside, err = cgroup.Create(s.b.paths.worker()); err != nil {
		return err
	}
	s.record.CgroupID = s.inside.ID()
	if s.plan.mapped {
		s.record.User = mappedID(s.inside.ID())
	}
	if err := s.m.limitInside(s.inside, s.plan.settings.Limits); err != nil {
		return err
	}
	return s.m.limit(s.outside, enforcerLimits)
}

func (s *start) makeNamespace() (err error) {
	s.namespace, err = netns.New()
	if err == nil {
		s.record.NetNS, s.record.NetNSCookie = s.namespace.Inode(), s.namespace.Cookie()
	}
	return err
}

func (s *start) applyRules() error { return s.namespace.Apply(s.net) }

func (s *start) attachHooks() (err error) {
	s.hooks, err = bpf.Attach(bpf.Options{
		CgroupFD:    s.inside.FD(),
		NetnsCookie: s.namespace.Cookie(),
		Addresses:   s.net.Addresses(),
		PinDir:      s.b.paths.hooks(),
	})
	return err
}

// attachFence comes before the enforcer reads anything that a stranger had a hand in.
func (s *start) attachFence() error {
	reach, err := s.b.fenceOf(s.plan.table)
	if err != nil {
		return err
	}
	f, err := bpf.AttachFence(bpf.FenceOptions{CgroupFD: s.outside.FD(), PinDir: s.b.paths.fence(), Reach: reach})
	if err != nil {
		return err
	}
	s.b.fence = &fence{Fence: f}
	return nil
}

func (s *start) openListeners() (err error) {
	s.listeners, err = s.namespace.Listen(s.net)
	return err
}

func (s *start) makeAuthority() (err error) {
	s.authority, err = ca.New(s.record.ID, now())
	return err
}

// spawnWorker starts the enforcer's process, which takes longer than all else and
// needs nothing yet: it is ready by the time there is something to give it.
func (s *start) spawnWorker() error {
	words, err := os.OpenFile(s.b.paths.words(), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("last words of the enforcer: %w", err)
	}
	defer words.Close()
	s.b.worker, err = worker.Spawn(worker.SpawnOptions{
		Identity:   workerID(s.outside.ID()),
		CgroupFD:   s.outside.FD(),
		Control:    s.b.paths.control(),
		Executable: s.m.o.Executable,
		Stderr:     words,
	})
	return err
}

// hostRoots is where enforcers get the host's authorities from. Tests have others.
var hostRoots = (*trust.Host).Roots

func (s *start) handOver() error {
	handover, err := s.authority.Marshal()
	if err != nil {
		return err
	}
	fd, err := s.hooks.FlowsFD()
	if err != nil {
		return err
	}
	flows := os.NewFile(uintptr(fd), "flows")
	defer flows.Close()
	roots, err := hostRoots(s.m.trust)
	if err != nil {
		return err
	}
	defer roots.Close()
	tokens, expires := reveal(s.tokens)
	return s.b.worker.HandOver(worker.Handoff{
		Bottle:     s.record.ID,
		Owner:      s.record.owner(),
		Routes:     s.plan.table.rendered,
		Generation: s.record.Generation,
		CA:         handover.Reveal(),
		Tokens:     tokens,
		Expires:    expires,
		DLP:        s.plan.table.manifest.DLP,
		DLPKey:     dlpKeyOf(s.m.dlpKey, s.record.Owner),
		UpstreamCA: s.plan.upstreamCA,
		Upstream:   s.plan.table.chain.handoff(),
		Resolver:   s.m.o.Resolver,
		Own:        s.net.Addresses(),
	}, map[string][]*os.File{
		worker.FileTCP:    s.listeners.TCP,
		worker.FileDNS:    s.listeners.DNSPacket,
		worker.FileDNSTCP: s.listeners.DNSStream,
		worker.FileFlows:  {flows},
		worker.FileRoots:  {roots},
	})
}

// prepareInit makes the first process of the bottle, which becomes the bottle's user in
// the bottle's tree of files, and waits.
func (s *start) prepareInit() error {
	layer, err := s.m.trust.Layer(s.authority.CertPEM(), s.plan.lookup)
	if err != nil {
		return err
	}
	s.prepared, err = launch.Prepare(s.ctx, s.launchSpec(layer), s.namespace.FD(), s.inside.FD(), s.stdio.Streams, s.stdio.Console)
	if err != nil {
		return launchError(err)
	}
	// Now, while it cannot end: a short command is over before anybody could look.
	if s.record.Init, err = identify(s.prepared.PID()); err != nil {
		return fmt.Errorf("identify the bottle's init: %w", err)
	}
	return nil
}

// runCommand is where hostile code begins to run.
func (s *start) runCommand() error {
	p, err := s.prepared.Run(s.ctx)
	s.prepared = nil
	if err != nil {
		return launchError(err)
	}
	s.b.init = oversee(p, false)
	return nil
}

// completeRecord writes down who is who, for whoever comes next.
func (s *start) completeRecord() (err error) {
	if s.record.Worker, err = identify(s.b.worker.PID); err != nil {
		return fmt.Errorf("identify the bottle's enforcer: %w", err)
	}
	return s.record.save(s.b.paths.state)
}
