package bottle

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"bottled/audit"
	"bottled/policy"
	"bottled/proposal"
	"bottled/routes"
	"bottled/secret"
	"bottled/worker"
)

// UpdateRoutes puts the routes of another manifest in force, whole or not at all.
// What a manifest says beside routes was settled at the launch, so it must be the
// same; files holds what the paths in it lead to. A token that is not given stays
// what it is where its token_ref does; one that the operator holds is fetched anew. What
// was granted before is in force only as far as the new manifest says it.
func (m *Manager) UpdateRoutes(ctx context.Context, c Caller, ref, name string, manifest []byte, files map[string][]byte, tokens map[string]secret.Token) (generation uint64, count int, err error) {
	b, err := m.find(c, ref)
	if err != nil {
		return 0, 0, err
	}
	b.update.Lock()
	defer b.update.Unlock()
	if err := b.running(); err != nil {
		return 0, 0, err
	}
	t, err := b.nextTable(ctx, c, name, manifest, files)
	if err != nil {
		return 0, 0, err
	}
	if err := onlyOwn(tokens); err != nil {
		return 0, 0, err
	}
	given, err := m.tokens(ctx, c.subject(), t, tokens)
	if err != nil {
		return 0, 0, fmt.Errorf("bottle %q: %w", b.record.Name, err)
	}
	generation, err = m.replace(ctx, c, c.subject(), b, manifest, t, nil, given)
	return generation, t.count, err
}

// nextTable reads the manifest of an update, which may change routes alone and nothing
// that the operator does not allow.
func (b *bottle) nextTable(ctx context.Context, c Caller, name string, manifest []byte, files map[string][]byte) (table, error) {
	end, err := b.m.reading.begin(ctx, c.UID)
	if err != nil {
		return table{}, err
	}
	defer end()
	t, err := readTable(name, manifest)
	if err != nil {
		return table{}, err
	}
	ca, err := contents(t.manifest.UpstreamCA, files)
	if err != nil {
		return table{}, fmt.Errorf("%w: upstream_ca: %w", ErrInvalid, err)
	}
	if err := t.chain.read(files); err != nil {
		return table{}, err
	}
	if err := b.sameBottle(t, ca); err != nil {
		return table{}, err
	}
	return b.admit(c.subject(), t)
}

// replace puts a table in force, whole or not at all, and writes down what it was
// made of, and whose it is. What the operator does not allow them is refused. The
// caller holds b.update.
func (m *Manager) replace(ctx context.Context, c Caller, s policy.Subject, b *bottle, manifest []byte, t table, granted []proposal.Proposal, given map[string]lent) (uint64, error) {
	t, err := b.admit(s, t)
	if err != nil {
		return 0, err
	}
	inForce := b.Info().Generation
	next := max(inForce, b.unsure) + 1
	u := worker.Update{Generation: next, Base: inForce, Routes: t.rendered}
	u.Tokens, u.Expires = reveal(given)
	if u.Keep, err = b.keep(t, given); err != nil {
		return 0, err
	}
	if err := m.o.Fault("update", 1, "enforcer"); err != nil {
		return 0, fmt.Errorf("bottle %q: %w", b.record.Name, err)
	}
	if err := b.swap(ctx, t, u); err != nil {
		return 0, fmt.Errorf("bottle %q: %w", b.record.Name, err)
	}
	if err := m.o.Fault("update", 2, "record"); err != nil {
		return 0, fmt.Errorf("bottle %q: %w", b.record.Name, err)
	}
	b.adoptTable(s, next, manifest, t, granted)
	b.setTerms(t, given, u.Keep)
	m.o.Log.Info("routes updated", "bottle", b.record.ID, "name", b.record.Name, "generation", next, "by", c.UID)
	m.o.Audit.Record(audit.Event{
		Time: now(), Kind: audit.Control, Bottle: b.record.ID, Owner: b.record.owner(),
		Generation: next, Verdict: audit.Allow, Reason: "routes-updated",
	})
	return next, nil
}

// swap has the enforcer take another table. Its fence opens for it before, and closes
// after for what was in the old one alone, or where the enforcer refuses for what is in
// the new one. Once begun it does not end with who asked for it.
func (b *bottle) swap(ctx context.Context, t table, u worker.Update) error {
	next, err := b.fenceOf(t)
	if err != nil {
		return err
	}
	before, err := b.fence.reach()
	if err != nil {
		return err
	}
	if err := b.fence.widen(next); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	refused := b.worker.Update(ctx, u)
	if errors.Is(refused, worker.ErrRefused) {
		next = before
	} else if refused != nil && !b.serves(ctx, u.Generation) {
		b.unsure = u.Generation
		return refused // it may come about yet: only the next update knows which to close
	} else {
		refused = nil
	}
	if err := b.fence.settle(next, b.m.resolvers); err != nil {
		b.m.o.Log.Error("cannot close the fence of an enforcer: it may reach what another table needs until the next update", "bottle", b.record.ID, "error", err)
	}
	return refused
}

// serves reports whether the enforcer has put that generation in force.
func (b *bottle) serves(ctx context.Context, generation uint64) bool {
	s, err := b.worker.Stats(ctx)
	return err == nil && s.Generation == generation
}

// sameBottle refuses a manifest that changes what only a launch can.
func (b *bottle) sameBottle(t table, upstreamCA []byte) error {
	old, err := routes.ParseManifest("the manifest in force", b.manifest())
	if err != nil {
		return fmt.Errorf("bottle %q: %w", b.record.Name, err)
	}
	m, chain := t.manifest, b.record.Chain
	if chain.Operator {
		chain = chained{} // the manifest named none
	}
	for _, k := range []struct {
		key      string
		old, new any
	}{
		{"bottle", settled(old.Bottle), settled(m.Bottle)},
		{"upstream_ca", b.record.UpstreamCA, digest(upstreamCA)},
		{"upstream_proxy", chain, t.chain.settled()},
		{"dlp", old.DLP, m.DLP},
	} {
		if !reflect.DeepEqual(k.old, k.new) {
			return fmt.Errorf("%w: %s differs from what bottle %q was launched with: only routes can be changed while it runs; launch it again for the rest", ErrConflict, k.key, b.record.Name)
		}
	}
	return nil
}

// settled is what a manifest says about the bottle, without where it says so.
func settled(s routes.Settings) []any {
	return []any{s.Writable, s.Hidden, s.Env, s.UserNamespaces, s.Limits}
}

// keep says which slots of a new table have a token of the old one: those whose
// token_ref had one, where none is given.
func (b *bottle) keep(t table, given map[string]lent) (map[string]string, error) {
	routed, proxied := make(map[string]string), make(map[string]string)
	for slot, ref := range b.slotRefs() {
		if slot == routes.ProxySlot {
			proxied[ref] = slot
		} else {
			routed[ref] = slot
		}
	}
	keep := make(map[string]string)
	for _, s := range t.slots {
		if _, ok := given[s.Name]; ok {
			continue
		}
		before := routed
		if s.Name == routes.ProxySlot {
			before = proxied
		}
		old, ok := before[s.Ref.String()]
		if !ok {
			return nil, fmt.Errorf("%w: token_ref %q has no value: set the variable and update again, or remove the auth block", ErrInvalid, s.Ref)
		}
		keep[s.Name] = old
	}
	return keep, nil
}

// slotName is how the enforcer knows the n-th token.
func slotName(n int) string { return "EGRESS_PROXY_TOKEN_" + strconv.Itoa(n) }

// slotRefs are the token references in force, by slot.
func (b *bottle) slotRefs() map[string]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.record.refs()
}

// adoptTable writes down what is in force now. A record that cannot be written
// does not undo it: a later daemon asks the enforcer.
func (b *bottle) adoptTable(s policy.Subject, generation uint64, manifest []byte, t table, granted []proposal.Proposal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &b.record
	r.Generation, r.Manifest, r.Granted = generation, manifest, granted
	r.inForce(s, t)
	if err := r.save(b.paths.state); err != nil {
		b.m.o.Log.Error("cannot write the record of a bottle", "bottle", r.ID, "error", err)
	}
}
