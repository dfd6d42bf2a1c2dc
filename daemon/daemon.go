// Package daemon puts the parts together: bottles, their API, the audit log, and
// the service manager's notifications. It decides nothing.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"bottled/api"
	"bottled/audit"
	"bottled/bottle"
	"bottled/metrics"
)

// Options says how a daemon runs. The zero value is the service's.
type Options struct {
	// Socket is where the API is served; default [api.DefaultSocket]. A socket that
	// the service manager opened goes before it.
	Socket string
	// StateDir is the run directory; default [bottle.DefaultRun].
	StateDir string
	// AuditLog is the file that audit lines go to; empty means none but Log.
	AuditLog string
	// AuditSize bounds that file and the older ones beside it, in MiB; 0 is
	// [audit.DefaultSize].
	AuditSize uint64
	// Resolver is "address:port" of the DNS server that enforcers ask; empty means
	// the host's configuration.
	Resolver string
	// Metrics is the loopback "address:port" of a page for Prometheus; empty means
	// that the API alone has it.
	Metrics string
	// Policy is the operator's policy file; default [policy.DefaultPath] if it is
	// there, and [policy.Default] if not. SIGHUP has it read again.
	Policy string
	Log    *slog.Logger
	// Private makes a daemon for one process, beside the service: it has a place of
	// its own in the run directory, and its bottles end with it.
	Private bool
}

// shutdownTimeout is how long calls that are being served may take after the end
// was asked for.
const shutdownTimeout = 5 * time.Second

// Daemon is one daemon, from [New] to the end of [Daemon.Serve].
type Daemon struct {
	o       Options
	manager *bottle.Manager
	floor   floor
	audit   *audit.Log // nil where there is no file
	account account
	ready   chan struct{}
}

// New opens the audit log and takes over what an earlier daemon left.
func New(o Options) (*Daemon, error) {
	if o.Socket == "" {
		o.Socket = api.DefaultSocket
	}
	if o.StateDir == "" {
		o.StateDir = bottle.DefaultRun
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := keepToSelf(); err != nil {
		return nil, err
	}
	if o.Metrics != "" {
		if err := metrics.CheckAddress(o.Metrics); err != nil {
			return nil, err
		}
	}
	d := &Daemon{o: o, floor: policyFile(o.Policy), ready: make(chan struct{})}
	rules, err := d.floor.load()
	if err != nil {
		return nil, err
	}
	sink := d.account.sink()
	if o.AuditLog != "" {
		if err := os.MkdirAll(filepath.Dir(o.AuditLog), 0o750); err != nil {
			return nil, fmt.Errorf("audit log: %w", err)
		}
		log, err := audit.Open(o.AuditLog, audit.Within(o.AuditSize))
		if err != nil {
			return nil, err
		}
		d.audit, sink = log, audit.Multi(log, sink)
	}
	instance := bottle.HostInstance
	if o.Private {
		instance = bottle.NewInstance()
	}
	manager, err := bottle.NewManager(context.Background(), bottle.Options{
		Run: o.StateDir, Instance: instance, Resolver: o.Resolver, Log: o.Log, Audit: sink, Policy: rules,
	})
	if err != nil {
		return nil, errors.Join(err, d.closeAudit())
	}
	d.manager = manager
	return d, nil
}

// Ready is closed once the API is served.
func (d *Daemon) Ready() <-chan struct{} { return d.ready }

// Serve serves until ctx ends, and then lets go: bottles of the service go on
// without it, those of a private daemon are stopped.
func (d *Daemon) Serve(ctx context.Context) error {
	listener, err := d.listen()
	if err != nil {
		return errors.Join(err, d.manager.Close(), d.closeAudit())
	}
	server := api.NewServer(d.manager, d.o.Log)
	server.Events, server.Stats, server.Metrics = &d.account.recent, d.stats, d.page
	endMetrics, err := d.serveMetrics()
	if err != nil {
		return errors.Join(err, listener.Close(), d.manager.Close(), d.closeAudit())
	}
	defer endMetrics()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer d.reloads()()
	close(d.ready)
	d.o.Log.Info("serving", "socket", listener.Addr().String())
	stop := notifyReady(d.o.Log)
	defer stop()

	select {
	case err = <-served:
		err = fmt.Errorf("API: %w", err)
	case <-ctx.Done():
	}
	notifyStopping()
	// The manager goes first: a call that waits for a bottle learns that the daemon
	// ends, and not that its client is gone.
	err = errors.Join(err, d.manager.Close())
	drain, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	return errors.Join(err, server.Shutdown(drain), d.closeAudit())
}

// listen takes the service manager's socket, or makes one.
func (d *Daemon) listen() (net.Listener, error) {
	if !d.o.Private {
		if l, err := activated(); l != nil || err != nil {
			return l, err
		}
	}
	return api.Listen(d.o.Socket)
}

func (d *Daemon) closeAudit() error {
	if d.audit == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	_, err := d.audit.Close(ctx)
	return err
}
