package routes

import (
	"fmt"
	"strconv"
)

// DefaultAllowlist returns the hosts that every bottle may reach unless its
// manifest says defaults: false.
func DefaultAllowlist() []string {
	return []string{
		"api.anthropic.com", "statsig.anthropic.com", "sentry.io", "claude.ai",
		"platform.claude.com", "downloads.claude.ai", "raw.githubusercontent.com",
	}
}

// A Slot is the name under which the enforcer knows a token.
type Slot struct {
	Name string // EGRESS_PROXY_TOKEN_n, or [ProxySlot]
	Ref  TokenRef
}

// Effective is what a manifest comes to.
type Effective struct {
	Own    []*Route // the manifest's routes alone
	Routes []*Route // Own, then the default allowlist, then egress.allowlist
	Slots  []Slot   // in order of first use, the upstream proxy's last
}

// Effective folds the default allowlist and egress.allowlist behind the
// manifest's own routes, each host as a route without path list and auth, and
// names the token slots. A host that a route before it matches already is
// skipped: the manifest wins, also with a wildcard.
//
// The routes are copies: the manifest may be used again.
func (m *Manifest) Effective() (*Effective, error) {
	own, slots, err := bindSlots(m.Routes)
	if err != nil {
		return nil, err
	}
	if p := m.UpstreamProxy; p != nil && p.Auth != nil {
		slots = append(slots, Slot{Name: ProxySlot, Ref: p.TokenRef})
	}
	f := folder{exact: make(map[Host]bool), wild: make(map[Host]bool)}
	for _, r := range own {
		f.claim(r.Host)
	}
	e := &Effective{Own: own, Routes: own[:len(own):len(own)], Slots: slots}
	var bare []Pattern
	if m.Defaults {
		for _, name := range DefaultAllowlist() {
			p, err := ParsePattern(name)
			if err != nil {
				return nil, fmt.Errorf("default allowlist: %w", err)
			}
			bare = append(bare, p)
		}
	}
	for _, p := range append(bare, m.Allowlist...) {
		if !f.claimed(p) {
			f.claim(p)
			e.Routes = append(e.Routes, &Route{Host: p, Protocol: HTTP, AnyPath: true})
		}
	}
	return e, nil
}

// Table returns the effective table. One without routes denies everything.
func (e *Effective) Table(generation uint64) (*Table, error) {
	return NewTable(e.Routes, generation)
}

// A folder knows which hosts are spoken for.
type folder struct{ exact, wild map[Host]bool }

func (f folder) claim(p Pattern) {
	if p.wildcard {
		f.wild[p.host] = true
	} else {
		f.exact[p.host] = true
	}
}

func (f folder) claimed(p Pattern) bool {
	if p.wildcard && f.wild[p.host] || !p.wildcard && f.exact[p.host] {
		return true
	}
	for base := range f.wild {
		if (Pattern{host: base, wildcard: true}).Matches(p.host) {
			return true
		}
	}
	return false
}

func slotName(n int) string { return "EGRESS_PROXY_TOKEN_" + strconv.Itoa(n) }

// bindSlots gives each distinct token reference a slot, in order of first use.
func bindSlots(list []ManifestRoute) ([]*Route, []Slot, error) {
	own := make([]*Route, 0, len(list))
	slot := make(map[TokenRef]string)
	var slots []Slot
	for _, mr := range list {
		r := mr.Route
		own = append(own, &r)
		if r.Auth == nil {
			continue
		}
		if mr.TokenRef.IsZero() {
			return nil, nil, fmt.Errorf("route %s has auth and no token_ref", r.Host)
		}
		name, ok := slot[mr.TokenRef]
		if !ok {
			name = slotName(len(slots))
			slot[mr.TokenRef] = name
			slots = append(slots, Slot{Name: name, Ref: mr.TokenRef})
		}
		auth := *r.Auth
		auth.Slot = name
		r.Auth = &auth
	}
	return own, slots, CheckSlots(slots)
}

// CheckSlots reports an error if one slot names two tokens, or is no slot. Use it
// on slots from more than one source, such as a live table and a change to it:
// which of the two tokens a route would get must not be left to order.
func CheckSlots(slots []Slot) error {
	refs := make(map[string]TokenRef, len(slots))
	for _, s := range slots {
		if !isSlot(s.Name) && s.Name != ProxySlot {
			return fmt.Errorf("%q is not a token slot: they are %s and so on", clip(s.Name), slotName(0))
		}
		if s.Ref.IsZero() {
			return fmt.Errorf("slot %s names no token", s.Name)
		}
		if other, ok := refs[s.Name]; ok && other != s.Ref {
			return fmt.Errorf("slot %s names two tokens, %q and %q: give each its own slot", s.Name, other, s.Ref)
		}
		refs[s.Name] = s.Ref
	}
	return nil
}
