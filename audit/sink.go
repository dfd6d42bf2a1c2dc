package audit

// A Sink takes events. Record never blocks and never fails its caller; what a
// sink cannot keep it counts. It is safe for concurrent use.
type Sink interface {
	Record(Event)
}

// SinkFunc is a function that is a sink. The function keeps the contract of [Sink].
type SinkFunc func(Event)

// Record implements [Sink].
func (f SinkFunc) Record(e Event) { f(e) }

// Discard is the sink that keeps nothing.
var Discard Sink = SinkFunc(func(Event) {})

// Multi returns a sink that gives each event to all of sinks, in order.
func Multi(sinks ...Sink) Sink {
	return SinkFunc(func(e Event) {
		for _, s := range sinks {
			s.Record(e)
		}
	})
}
