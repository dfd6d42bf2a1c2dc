package metrics

import (
	"net/http"
	"runtime"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Bottle is a running bottle whose series are shown.
type Bottle struct {
	ID, Name      string
	Owner         uint32
	Open          int64 // connections at this moment
	Accepted      int64 // connections since its enforcer began
	EventsDropped uint64
}

// Host is what the daemon knows at the time of a scrape.
type Host struct {
	Version       string
	States        map[string]int // bottles by state
	Bottles       []Bottle       // those to show
	EventsDropped uint64         // by the audit log

	// Open leaves out what bottles are called and whose they are: nobody asks who reads.
	// Their ids remain, which the paths of cgroups show to everybody.
	Open bool
}

// series is one metric: its name, help and labels are the contract with dashboards.
type series struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

// all are the metrics in the order of their making.
var all []*prometheus.Desc

func define(kind prometheus.ValueType, name, help string, labels ...string) series {
	d := prometheus.NewDesc("bottled_"+name, help, labels, nil)
	all = append(all, d)
	return series{d, kind}
}

// of is a bottle's labels. Its name is for people; ids never come twice.
func of(more ...string) []string { return append([]string{"bottle", "name", "owner"}, more...) }

var (
	buildInfo    = define(prometheus.GaugeValue, "build_info", "Always 1; the version of the daemon.", "version", "goversion")
	bottles      = define(prometheus.GaugeValue, "bottles", "Bottles by state.", "state")
	launches     = define(prometheus.CounterValue, "launches_total", "Launches by result, ok or failed.", "result")
	launchTime   = define(prometheus.UntypedValue, "launch_duration_seconds", "Time from the request of a bottle to the execution of its command.")
	eventsLost   = define(prometheus.CounterValue, "audit_dropped_events_total", "Audit events that the log could not keep.")
	requests     = define(prometheus.CounterValue, "requests_total", "Requests and opaque connections by verdict.", "verdict")
	denied       = define(prometheus.CounterValue, "denied_total", "Denied requests and connections by reason.", "reason")
	kernel       = define(prometheus.CounterValue, "kernel_refusals_total", "Refusals by the kernel's walls by reason.", "reason")
	injected     = define(prometheus.CounterValue, "injected_total", "Requests that a credential was set on.")
	scrubbed     = define(prometheus.CounterValue, "scrubbed_total", "Injected values that were taken out of responses.")
	bytes        = define(prometheus.CounterValue, "bytes_total", "Bytes of request and response bodies and opaque streams, up from and down to bottles.", "direction")
	bOpen        = define(prometheus.GaugeValue, "bottle_connections", "Open connections of a bottle.", of()...)
	bAccepted    = define(prometheus.CounterValue, "bottle_connections_total", "Connections of a bottle since its enforcer began.", of()...)
	bEventsLost  = define(prometheus.CounterValue, "bottle_audit_dropped_events_total", "Audit events that the bottle's enforcer could not deliver.", of()...)
	bRequests    = define(prometheus.CounterValue, "bottle_requests_total", "Requests and opaque connections of a bottle by verdict.", of("verdict")...)
	bDenied      = define(prometheus.CounterValue, "bottle_denied_total", "Denied requests and connections of a bottle by reason.", of("reason")...)
	bKernel      = define(prometheus.CounterValue, "bottle_kernel_refusals_total", "Refusals of a bottle by the kernel's walls by reason.", of("reason")...)
	bInjected    = define(prometheus.CounterValue, "bottle_injected_total", "Requests of a bottle that a credential was set on.", of()...)
	bScrubbed    = define(prometheus.CounterValue, "bottle_scrubbed_total", "Injected values that were taken out of a bottle's responses.", of()...)
	bBytes       = define(prometheus.CounterValue, "bottle_bytes_total", "Bytes of a bottle, up and down.", of("direction")...)
	totalSeries  = countSeries{requests, denied, kernel, injected, scrubbed, bytes}
	bottleSeries = countSeries{bRequests, bDenied, bKernel, bInjected, bScrubbed, bBytes}
)

// countSeries are the metrics of a [Counts].
type countSeries struct{ requests, denied, kernel, injected, scrubbed, bytes series }

// page is one scrape.
type page struct {
	recorder *Recorder
	host     Host
}

// Handler answers one scrape, in the text format or what else the client accepts.
func (r *Recorder) Handler(h Host) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(page{r, h}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// Describe implements [prometheus.Collector].
func (p page) Describe(out chan<- *prometheus.Desc) {
	for _, d := range all {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (p page) Collect(out chan<- prometheus.Metric) {
	put := func(s series, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(s.desc, s.kind, value, labels...)
	}
	put(buildInfo, 1, p.host.Version, runtime.Version())
	for state, n := range p.host.States {
		put(bottles, float64(n), state)
	}
	put(eventsLost, float64(p.host.EventsDropped))
	r := p.recorder
	r.mu.Lock()
	total, launched, failed, seconds := r.total.clone(), r.launched, r.failed, r.seconds
	buckets := make(map[float64]uint64, len(launchBuckets))
	for _, bound := range launchBuckets {
		buckets[bound] = r.buckets[bound]
	}
	r.mu.Unlock()
	put(launches, float64(launched), "ok")
	put(launches, float64(failed), "failed")
	out <- prometheus.MustNewConstHistogram(launchTime.desc, launched, seconds, buckets)
	totalSeries.collect(put, total)
	for _, b := range p.host.Bottles {
		labels := []string{b.ID, b.Name, strconv.FormatUint(uint64(b.Owner), 10)}
		if p.host.Open {
			labels = []string{b.ID, "", ""}
		}
		put(bOpen, float64(b.Open), labels...)
		put(bAccepted, float64(b.Accepted), labels...)
		put(bEventsLost, float64(b.EventsDropped), labels...)
		bottleSeries.collect(put, r.Bottle(b.ID), labels...)
	}
}

func (s countSeries) collect(put func(series, float64, ...string), c Counts, labels ...string) {
	with := func(more string) []string { return append(labels[:len(labels):len(labels)], more) }
	put(s.requests, float64(c.Allowed), with("allow")...)
	put(s.requests, float64(c.Denied), with("deny")...)
	put(s.injected, float64(c.Injected), labels...)
	put(s.scrubbed, float64(c.Scrubbed), labels...)
	put(s.bytes, float64(c.BytesUp), with("up")...)
	put(s.bytes, float64(c.BytesDown), with("down")...)
	for reason, n := range c.DeniedBy {
		put(s.denied, float64(n), with(reason)...)
	}
	for reason, n := range c.KernelBy {
		put(s.kernel, float64(n), with(reason)...)
	}
}
