package worker

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"bottled/audit"
	"bottled/bpf"
	"bottled/ca"
	"bottled/dns"
	"bottled/proxy"
	"bottled/routes"
	"bottled/secret"
)

// enforcer is what a worker serves with.
type enforcer struct {
	proxy  *proxy.Server
	dns    *dns.Server
	events *events

	updating sync.Mutex // one update at a time
	live     atomic.Pointer[live]
}

// live is a table and the tokens that belong to it, which change together.
type live struct {
	table  *routes.Table
	tokens map[string]secret.Token
}

func (e *enforcer) table() *routes.Table { return e.live.Load().table }

// newEnforcer puts the parts together from what was handed over.
func newEnforcer(h Handoff, s *sockets, roots *x509.CertPool) (*enforcer, error) {
	table, err := routes.Parse(h.Routes, h.Generation)
	if err != nil {
		return nil, fmt.Errorf("worker: routes: %w", err)
	}
	held, err := tokens(h.Tokens)
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	authority, err := ca.Unmarshal(h.CA)
	clear(h.CA)
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	processes, err := processes(s)
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	e := &enforcer{events: newEvents()}
	e.live.Store(&live{table, held})
	names := dns.NewPool()
	e.dns = dns.NewServer(names, nil)
	e.proxy, err = proxy.New(proxy.Config{
		Table:       table,
		CA:          authority,
		Credential:  e.credential,
		Resolver:    resolver(h.Resolver),
		BottleAddrs: h.Own,
		Roots:       roots,
		Names:       names.Name,
		Process:     processes,
		Audit:       e.events,
		Bottle:      h.Bottle,
		Owner:       h.Owner,
	})
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	return e, nil
}

// credential returns the token of a slot of the table in force.
func (e *enforcer) credential(slot string) (secret.Token, bool) {
	t, ok := e.live.Load().tokens[slot]
	return t, ok && !t.IsZero()
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
	table, err := routes.Parse(u.Routes, u.Generation)
	if err != nil {
		return err
	}
	held, err := tokens(u.Tokens)
	if err != nil {
		return err
	}
	for slot, before := range u.Keep {
		if _, given := held[slot]; given {
			continue
		}
		t, ok := old.tokens[before]
		if !ok {
			return fmt.Errorf("token slot %q: no value was given, and none is held", slot)
		}
		held[slot] = t
	}
	// The old table's requests may still ask for their slots while the new one's
	// begin: a slot that changed its meaning must not be served to the wrong one, so
	// the table is swapped first, and what it cut is gone before the tokens change.
	e.proxy.Swap(table)
	e.live.Store(&live{table, held})
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

// processes tells who opened a connection, as the hooks noted it.
func processes(s *sockets) (func(local, remote netip.AddrPort) audit.Process, error) {
	if s.flows == nil {
		return nil, nil
	}
	fd, err := unix.FcntlInt(s.flows.Fd(), unix.F_DUPFD_CLOEXEC, 0) // NewFlows keeps the one it gets
	s.flows.Close()
	if err != nil {
		return nil, fmt.Errorf("flows: %w", err)
	}
	flows, err := bpf.NewFlows(fd)
	if err != nil {
		return nil, err
	}
	return func(local, remote netip.AddrPort) audit.Process {
		f, ok := flows.Flow(local, remote)
		if !ok {
			return audit.Process{}
		}
		return audit.Process{PID: f.Process.PID, Comm: f.Process.Comm, UID: f.Process.UID}
	}, nil
}
