package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"bottled/ca"
	"bottled/dlp"
	"bottled/dns"
	"bottled/proxy"
	"bottled/routes"
	"bottled/screen"
	"bottled/secret"
)

// enforcer is what a worker serves with.
type enforcer struct {
	proxy      *proxy.Server
	dns        *dns.Server
	events     *events
	supervisor *supervisor
	screen     *screen.Screen
	upstream   *Upstream // nil: connections go direct

	updating sync.Mutex // one update at a time
	live     atomic.Pointer[live]
}

// live is a table and the tokens that belong to it, which change together.
type live struct {
	table  *routes.Table
	tokens tokens
	// before are those of the table before, for requests that it judged.
	before tokens
}

func (e *enforcer) table() *routes.Table { return e.live.Load().table }

// newEnforcer puts the parts together from what was handed over.
func newEnforcer(h Handoff, s *sockets) (*enforcer, error) {
	table, err := routes.Parse(h.Routes, h.Generation)
	if err != nil {
		return nil, fmt.Errorf("worker: routes: %w", err)
	}
	held, err := newTokens(h.Generation, h.Tokens, h.Expires)
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	authority, err := ca.Unmarshal(h.CA)
	clear(h.CA)
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	e := &enforcer{events: newEvents(), screen: screen.New(h.DLP, dlp.Limits{}, h.DLPKey), upstream: h.Upstream}
	upstream, err := h.Upstream.configure(s.roots, e.proxyToken)
	if err = errors.Join(err, h.Upstream.complete(held)); err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	upstreams, err := h.upstreams(s.roots)
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	processes, err := newProcesses(s)
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	e.use(&live{table: table, tokens: held})
	e.supervisor = newSupervisor(e)
	names := dns.NewPool()
	e.dns = dns.NewServer(names, newQueries(e.events, processes.asker).observe)
	e.proxy, err = proxy.New(proxy.Config{
		Table:       table,
		CA:          authority,
		Credential:  e.credential,
		Resolver:    resolver(h.Resolver),
		BottleAddrs: h.Own,
		Roots:       sync.OnceValue(upstreams.pool),
		Upstream:    upstream,
		Names:       names.Name,
		Process:     processes.accepted,
		Audit:       e.events,
		Scanner:     e.screen,
		Magic:       e.supervisor.handler(),
		Bottle:      h.Bottle,
		Owner:       h.Owner,
	})
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	return e, nil
}

// use puts a table and its tokens in force: the tokens are looked for in what leaves
// before any can be injected.
func (e *enforcer) use(l *live) {
	e.screen.Use(l.table, l.tokens.values())
	e.live.Store(l)
}

// credential returns the token of a slot of the table of that generation. The same
// slot of another table may be another token, for another host.
func (e *enforcer) credential(generation uint64, slot string) (secret.Token, bool) {
	l := e.live.Load()
	for _, t := range []tokens{l.tokens, l.before} {
		if t.generation == generation {
			return t.get(slot, time.Now())
		}
	}
	return secret.Token{}, false
}

// proxyToken returns the credential for the upstream proxy, which no table has a say in.
func (e *enforcer) proxyToken() (secret.Token, bool) {
	return e.live.Load().tokens.get(routes.ProxySlot, time.Now())
}

// update puts another table in force. A slot of it whose token is not given keeps
// the one it names in the old table; a slot with neither is an error.
func (e *enforcer) update(u Update) error {
	e.updating.Lock()
	defer e.updating.Unlock()
	old := e.live.Load()
	if u.Generation <= old.table.Generation() {
		return fmt.Errorf("generation %d is not after %d, which is in force", u.Generation, old.table.Generation())
	}
	if len(u.Keep) > 0 && u.Base != old.table.Generation() {
		return fmt.Errorf("tokens of generation %d are to be kept, and %d is in force: give their values again", u.Base, old.table.Generation())
	}
	table, err := routes.Parse(u.Routes, u.Generation)
	if err != nil {
		return err
	}
	held, err := newTokens(u.Generation, u.Tokens, u.Expires)
	if err != nil {
		return err
	}
	for slot, before := range u.Keep {
		if _, given := held.bySlot[slot]; given {
			continue
		}
		t, ok := old.tokens.bySlot[before]
		if !ok {
			return fmt.Errorf("token slot %q: no value was given, and none is held", slot)
		}
		held.bySlot[slot] = t
	}
	if err := e.upstream.complete(held); err != nil {
		return err
	}
	// Requests that the old table judged still ask for its slots while the new one's
	// begin, so for a while there are both.
	e.use(&live{table: table, tokens: held, before: old.tokens})
	e.proxy.Swap(table)
	return nil
}

// renew puts new values into slots of the table in force. No connection notices,
// and the generation stays: what is allowed is the same.
func (e *enforcer) renew(r Renewal) error {
	e.updating.Lock()
	defer e.updating.Unlock()
	l := *e.live.Load()
	if r.Generation != l.tokens.generation {
		return fmt.Errorf("the tokens are for generation %d, and %d is in force", r.Generation, l.tokens.generation)
	}
	fresh, err := newTokens(r.Generation, r.Tokens, r.Expires)
	if err != nil {
		return err
	}
	if l.tokens, err = l.tokens.with(fresh); err != nil {
		return err
	}
	e.use(&l)
	return nil
}

// resolver asks the server at address, or the host's own where it is empty.
func resolver(address string) *net.Resolver {
	if address == "" {
		return &net.Resolver{PreferGo: true}
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
}
