package worker

import (
	"bytes"
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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

// reader takes what is sent to it, until it breaks.
type reader struct {
	bytes.Buffer
	broken bool
}

func (r *reader) Write(p []byte) (int, error) {
	if r.broken {
		return 0, errors.New("the daemon is gone")
	}
	return r.Buffer.Write(p)
}

// paths returns the paths of what was sent.
func (r *reader) paths(t *testing.T) (list []string) {
	t.Helper()
	for line := range strings.Lines(r.String()) {
		var e audit.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		list = append(list, e.Path.String())
	}
	return list
}

// Each event is sent once or counted, whoever reads, and when.
func TestEventsAreSentOrCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEvents()
		record := func(path string) { e.Record(audit.Event{Path: audit.PathOf(path)}) }
		check := func(r *reader, dropped uint64, want ...string) {
			t.Helper()
			synctest.Wait()
			if got := r.paths(t); !slices.Equal(got, want) || e.Dropped() != dropped || e.unread.Load() != 0 {
				t.Errorf("%q was sent, %d dropped, %d unread; want %q and %d", got, e.Dropped(), e.unread.Load(), want, dropped)
			}
		}
		serve := func(r *reader) (gone func()) {
			quit := make(chan struct{})
			go e.send(r, quit)
			synctest.Wait()
			return func() { close(quit); synctest.Wait() }
		}
		record("/before")
		first := new(reader)
		gone := serve(first)
		time.Sleep(2 * batchTime)
		record("/a")
		record("/b")
		time.Sleep(2 * batchTime)
		check(first, 0, "/before", "/a", "/b")

		record("/late") // the reader goes while it waits for others
		synctest.Wait()
		gone()
		second := new(reader)
		gone = serve(second)
		time.Sleep(2 * batchTime)
		check(second, 0, "/late")
		gone()

		third := &reader{broken: true}
		record("/lost")
		serve(third)
		time.Sleep(2 * batchTime)
		check(third, 1)
	})
}

func TestManyEventsAreSentAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, r, quit, start := newEvents(), new(reader), make(chan struct{}), time.Now()
		go e.send(r, quit)
		for range batchBytes / 100 {
			e.Record(audit.Event{Detail: strings.Repeat("x", 100)})
		}
		synctest.Wait()
		if r.Len() < batchBytes || time.Since(start) != 0 {
			t.Errorf("%d bytes were sent after %s", r.Len(), time.Since(start))
		}
		close(quit)
	})
}

func TestEventsAreBounded(t *testing.T) {
	e := newEvents()
	const each = 1000
	for range 2 * queueBytes / each {
		e.Record(audit.Event{Detail: strings.Repeat("x", each)})
	}
	if n := int64(e.Dropped()); len(e.lines) > queueBytes || n == 0 || n+e.unread.Load() != 2*queueBytes/each {
		t.Errorf("%d bytes wait, %d events unread, %d dropped", len(e.lines), e.unread.Load(), n)
	}
}
