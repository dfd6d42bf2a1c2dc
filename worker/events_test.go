package worker

import (
	"runtime"
	"strings"
	"testing"

	"bottled/audit"
)

// Events that nobody reads hold what they say, and not the heads that it was read from.
func TestQueuedEventsHoldNoHeads(t *testing.T) {
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const heads, size = 200, 256 << 10
	record := func(to func(audit.Event)) uint64 {
		before := heap()
		for range heads {
			head := strings.Repeat("GET", size/3)
			to(audit.Event{Method: head[:3], Path: audit.PathOf(head[3:6]), Authority: head[6:9], Detail: head[9:]})
		}
		return heap() - before
	}
	var kept []audit.Event
	if grown := record(func(e audit.Event) { kept = append(kept, e) }); grown < heads*size {
		t.Fatalf("kept as they are they hold %d bytes, so this shows nothing", grown)
	}
	runtime.KeepAlive(kept)
	e := newEvents()
	if grown := record(e.Record); grown > heads*size/10 {
		t.Errorf("%d events hold %d bytes", heads, grown)
	}
	runtime.KeepAlive(e)
}
