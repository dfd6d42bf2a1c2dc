package bottle

import (
	"context"
	"fmt"
	"reflect"
	"strconv"

	"bottled/audit"
	"bottled/proposal"
	"bottled/routes"
	"bottled/secret"
	"bottled/worker"
)

// UpdateRoutes puts the routes of another manifest in force, whole or not at all.
// What a manifest says beside routes was settled at the launch, so it must be the
// same. A token that is not given stays what it is where its token_ref does. What
// was granted before is in force only as far as the new manifest says it.
func (m *Manager) UpdateRoutes(ctx context.Context, c Caller, ref, name string, manifest []byte, tokens map[string]secret.Token) (generation uint64, count int, err error) {
	b, err := m.find(c, ref)
	if err != nil {
		return 0, 0, err
	}
	b.update.Lock()
	defer b.update.Unlock()
	if err := b.running(); err != nil {
		return 0, 0, err
	}
	t, err := readTable(name, manifest)
	if err != nil {
		return 0, 0, err
	}
	if err := b.sameBottle(t.manifest); err != nil {
		return 0, 0, err
	}
	generation, err = m.replace(ctx, c, b, manifest, t, nil, tokens)
	return generation, t.count, err
}

// replace puts a table in force, whole or not at all, and writes down what it was
// made of. The caller holds b.update.
func (m *Manager) replace(ctx context.Context, c Caller, b *bottle, manifest []byte, t table, granted []proposal.Proposal, tokens map[string]secret.Token) (uint64, error) {
	next := b.Info().Generation + 1
	u := worker.Update{Generation: next, Routes: t.rendered}
	var err error
	if u.Tokens, u.Keep, err = b.assign(t.slots, tokens); err != nil {
		return 0, err
	}
	if err := m.o.Fault("update", 1, "enforcer"); err != nil {
		return 0, fmt.Errorf("bottle %q: %w", b.record.Name, err)
	}
	if err := b.worker.Update(ctx, u); err != nil {
		return 0, fmt.Errorf("bottle %q: %w", b.record.Name, err)
	}
	if err := m.o.Fault("update", 2, "record"); err != nil {
		return 0, fmt.Errorf("bottle %q: %w", b.record.Name, err)
	}
	b.adoptTable(next, manifest, t, granted)
	m.o.Log.Info("routes updated", "bottle", b.record.ID, "name", b.record.Name, "generation", next, "by", c.UID)
	m.o.Audit.Record(audit.Event{
		Time: now(), Kind: audit.Control, Bottle: b.record.ID, Owner: strconv.FormatUint(uint64(b.record.Owner), 10),
		Generation: next, Verdict: audit.Allow, Reason: "routes-updated",
	})
	return next, nil
}

// sameBottle refuses a manifest that changes what only a launch can.
func (b *bottle) sameBottle(m *routes.Manifest) error {
	old, err := routes.ParseManifest("the manifest in force", b.manifest())
	if err != nil {
		return fmt.Errorf("bottle %q: %w", b.record.Name, err)
	}
	for _, k := range []struct {
		key      string
		old, new any
	}{
		{"bottle", settled(old.Bottle), settled(m.Bottle)},
		{"upstream_ca", old.UpstreamCA, m.UpstreamCA},
		{"upstream_proxy", old.UpstreamProxy, m.UpstreamProxy},
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
	return []any{s.Writable, s.Hidden, s.Env, s.UserNamespaces}
}

// assign says which token goes into which slot of a new table: one that is given,
// or the one that the same token_ref had.
func (b *bottle) assign(slots []routes.Slot, tokens map[string]secret.Token) (given, keep map[string]string, err error) {
	before := make(map[string]string)
	for i, ref := range b.slotRefs() {
		before[ref] = "EGRESS_PROXY_TOKEN_" + strconv.Itoa(i)
	}
	given, keep = make(map[string]string), make(map[string]string)
	for _, s := range slots {
		ref := s.Ref.String()
		if t, ok := tokens[ref]; ok && !t.IsZero() {
			given[s.Name] = t.Reveal()
		} else if old, ok := before[ref]; ok {
			keep[s.Name] = old
		} else {
			return nil, nil, fmt.Errorf("%w: token_ref %q has no value: set the variable and update again, or remove the auth block", ErrInvalid, ref)
		}
	}
	return given, keep, nil
}

func (b *bottle) slotRefs() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.record.Slots
}

// adoptTable writes down what is in force now. A record that cannot be written
// does not undo it: a later daemon asks the enforcer.
func (b *bottle) adoptTable(generation uint64, manifest []byte, t table, granted []proposal.Proposal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &b.record
	r.Generation, r.Manifest, r.Granted, r.Routes = generation, manifest, granted, t.count
	r.Slots = nil
	for _, s := range t.slots {
		r.Slots = append(r.Slots, s.Ref.String())
	}
	if err := r.save(b.paths.state); err != nil {
		b.m.o.Log.Error("cannot write the record of a bottle", "bottle", r.ID, "error", err)
	}
}
