package daemon

import (
	"context"
	"errors"
	"net/http"

	"bottled/api"
	"bottled/audit"
	"bottled/bottle"
	"bottled/metrics"
)

// account is what the daemon knows of its bottles' doings without looking into a file.
type account struct {
	recent audit.Recent
	counts metrics.Recorder
}

func (a *account) sink() audit.Sink {
	a.counts.Started, a.counts.Ended, a.counts.Failed = bottle.ReasonStarted, bottle.ReasonEnded, bottle.ReasonFailed
	return audit.Multi(&a.recent, &a.counts)
}

// stats are the counts that a caller may see.
func (d *Daemon) stats(ctx context.Context, c bottle.Caller) []api.Stats {
	list := []api.Stats{}
	for _, b := range d.manager.Stats(ctx, c) {
		n := d.account.counts.Bottle(b.ID)
		list = append(list, api.Stats{
			ID: b.ID, Name: b.Name, Owner: b.Owner, State: api.State(b.State), Open: b.Open, Connections: b.Accepted,
			Requests: n.Requests(), Denied: n.Denied, KernelRefusals: n.Kernel(), BytesUp: n.BytesUp, BytesDown: n.BytesDown,
		})
	}
	return list
}

// page is what a caller may see of the metrics: the host's, and their bottles'.
func (d *Daemon) page(c bottle.Caller) http.Handler { return d.account.counts.Handler(d.host(c)) }

func (d *Daemon) host(c bottle.Caller) metrics.Host {
	h := metrics.Host{Version: api.ThisVersion().Version, States: map[string]int{}}
	for _, s := range []bottle.State{bottle.Creating, bottle.Running, bottle.Stopping, bottle.Exited} {
		h.States[string(s)] = 0
	}
	for _, b := range d.manager.List(bottle.Caller{}, true) {
		h.States[string(b.State)]++
	}
	for _, b := range d.manager.Stats(context.Background(), c) {
		h.Bottles = append(h.Bottles, metrics.Bottle{
			ID: b.ID, Name: b.Name, Owner: b.Owner, Open: b.Open, Accepted: b.Accepted, EventsDropped: b.EventsDropped,
		})
	}
	if d.audit != nil {
		h.EventsDropped = d.audit.Dropped()
	}
	return h
}

// openPage is what every user of the host may see.
func (d *Daemon) openPage() http.Handler {
	h := d.host(bottle.Caller{})
	h.Open = true
	return d.account.counts.Handler(h)
}

// serveMetrics serves the page on its own address, if it has one, until end is called.
func (d *Daemon) serveMetrics() (end func(), err error) {
	if d.o.Metrics == "" {
		return func() {}, nil
	}
	l, err := metrics.Listen(d.o.Metrics)
	if err != nil {
		return nil, err
	}
	s := metrics.Server(d.openPage)
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			d.o.Log.Error("metrics", "error", err)
		}
	}()
	d.o.Log.Info("metrics", "address", l.Addr().String())
	return func() { s.Close() }, nil
}
