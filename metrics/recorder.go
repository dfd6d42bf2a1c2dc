// Package metrics counts what the audit events tell and shows it to Prometheus.
//
// A [Recorder] is an [audit.Sink]: what it counts is what is on record, and nothing
// has to be counted twice in the code that decides. [Recorder.Handler] is a page of
// the text format. Series of a bottle go when it goes, and the labels of one are
// bounded: what an enforcer calls a reason may be in its attacker's hand.
package metrics

import (
	"maps"
	"regexp"
	"sync"
	"time"

	"bottled/audit"
)

// Bounds.
const (
	maxBottles = 2048 // counted at a time
	maxReasons = 48   // told apart in one place; what comes later is "other"
)

// launchBuckets are upper bounds in seconds: a start takes some tens of milliseconds.
var launchBuckets = []float64{0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2}

// Counts are what one bottle, or all, did since the daemon began.
type Counts struct {
	Allowed, Denied uint64 // requests and opaque connections
	Injected        uint64 // requests that a credential was set on
	Scrubbed        uint64 // injected values that were taken out of responses
	BytesUp         uint64
	BytesDown       uint64
	DeniedBy        map[string]uint64 // by reason
	KernelBy        map[string]uint64 // refusals by the kernel's walls, by reason
}

// Requests is how many were decided.
func (c Counts) Requests() uint64 { return c.Allowed + c.Denied }

// Kernel is how many the kernel's walls refused.
func (c Counts) Kernel() (n uint64) {
	for _, by := range c.KernelBy {
		n += by
	}
	return n
}

// Recorder counts. The zero Recorder is ready; its methods are safe for concurrent use.
type Recorder struct {
	// Started and Ended are the reasons of the audit events that begin and end the
	// account of a bottle, Failed that of a start that came to nothing.
	Started, Ended, Failed string

	mu       sync.Mutex
	total    Counts
	bottles  map[string]*Counts
	launched uint64
	failed   uint64
	seconds  float64
	buckets  map[float64]uint64 // cumulative, as Prometheus wants them
}

// Record implements [audit.Sink].
func (r *Recorder) Record(e audit.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Kind == audit.Control {
		r.control(e)
		return
	}
	r.total.add(e)
	if e.Bottle == "" {
		return
	}
	c := r.bottles[e.Bottle]
	if c == nil {
		if len(r.bottles) >= maxBottles {
			return // counted in total
		}
		if r.bottles == nil {
			r.bottles = make(map[string]*Counts)
		}
		c = new(Counts)
		r.bottles[e.Bottle] = c
	}
	c.add(e)
}

func (r *Recorder) control(e audit.Event) {
	switch e.Reason {
	case r.Started:
		r.launched++
		r.observe(e.Duration)
	case r.Failed:
		r.failed++
	case r.Ended:
		delete(r.bottles, e.Bottle)
	}
}

func (r *Recorder) observe(took time.Duration) {
	if r.buckets == nil {
		r.buckets = make(map[float64]uint64)
	}
	r.seconds += took.Seconds()
	for _, bound := range launchBuckets {
		if took.Seconds() <= bound {
			r.buckets[bound]++
		}
	}
}

// Bottle returns the counts of one bottle, by id; zero where nothing happened.
func (r *Recorder) Bottle(id string) Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.bottles[id]; c != nil {
		return c.clone()
	}
	return Counts{}
}

func (c *Counts) clone() Counts {
	copied := *c
	copied.DeniedBy, copied.KernelBy = maps.Clone(c.DeniedBy), maps.Clone(c.KernelBy)
	return copied
}

func (c *Counts) add(e audit.Event) {
	switch e.Kind {
	case audit.Kernel:
		countBy(&c.KernelBy, e.Reason, max(1, e.Count))
		return
	case audit.Request, audit.Connection:
	default:
		return
	}
	if e.Verdict == audit.Allow {
		c.Allowed++
	} else {
		c.Denied++
		countBy(&c.DeniedBy, e.Reason, 1)
	}
	if e.Injected {
		c.Injected++
	}
	c.Scrubbed += uint64(max(0, e.Scrubbed))
	c.BytesUp += uint64(max(0, e.BytesUp))
	c.BytesDown += uint64(max(0, e.BytesDown))
}

// code is what a reason looks like.
var code = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`) })

func countBy(by *map[string]uint64, reason string, n uint64) {
	if *by == nil {
		*by = make(map[string]uint64)
	}
	if _, known := (*by)[reason]; !known && (len(*by) >= maxReasons || !code().MatchString(reason)) {
		reason = "other"
	}
	(*by)[reason] += n
}
