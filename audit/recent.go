package audit

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// Bounds of a [Recent].
const (
	// RecentEvents is how many allowed, and how many denied, events of one bottle are
	// kept: what is allowed often does not push out what was denied.
	RecentEvents = 256
	// recentRings bounds the lists of all bottles together; at about 600 bytes an
	// event, 2048 full ones are 300 MiB, and one of a quiet bottle is nothing.
	recentRings = 2048
)

// Recent is a [Sink] that keeps the last events of each bottle in memory and shows
// them to readers, who may wait for more. A reader that does not keep up never
// holds a recorder: what is overwritten before it was read is lost to it, and
// counted. All methods are safe for concurrent use. The zero Recent is ready.
type Recent struct {
	mu    sync.Mutex
	seq   uint64
	rings map[ringKey]*ring
	wake  chan struct{} // closed at the next event; nil while nobody waits
}

type ringKey struct {
	bottle, owner string
	denied        bool
}

// ring holds the last of the events that it ever got.
type ring struct {
	events []numbered
	count  uint64 // of events it ever got; the next goes to count % RecentEvents once full
}

type numbered struct {
	seq   uint64
	event Event
}

func (r *ring) first() uint64 { return r.count - uint64(len(r.events)) }
func (r *ring) last() uint64  { return r.at(r.count - 1).seq }

func (r *ring) at(n uint64) numbered { return r.events[n%RecentEvents] }

func (r *ring) add(e numbered) {
	if len(r.events) < RecentEvents {
		r.events = append(r.events, e)
	} else {
		r.events[r.count%RecentEvents] = e
	}
	r.count++
}

// Record implements [Sink].
func (r *Recent) Record(e Event) {
	e = e.clean()
	r.mu.Lock()
	defer r.mu.Unlock()
	k := ringKey{e.Bottle, e.Owner, e.Verdict != Allow}
	if r.rings == nil {
		r.rings = make(map[ringKey]*ring)
	}
	if r.rings[k] == nil {
		if len(r.rings) >= recentRings {
			r.evict()
		}
		r.rings[k] = new(ring)
	}
	r.seq++
	r.rings[k].add(numbered{r.seq, e})
	if r.wake != nil {
		close(r.wake)
		r.wake = nil
	}
}

// evict forgets the list that was quiet for longest of the owner who has most, so
// that nobody pushes out another user's by making many bottles.
func (r *Recent) evict() {
	have := make(map[string]int)
	for k := range r.rings {
		have[k.owner]++
	}
	var out ringKey
	var found *ring
	for k, ring := range r.rings {
		more := 1
		if found != nil {
			more = cmp.Compare(have[k.owner], have[out.owner])
		}
		if more > 0 || more == 0 && ring.last() < found.last() {
			out, found = k, ring
		}
	}
	delete(r.rings, out)
}

// Filter says which events a [Reader] gets. The zero Filter is all.
type Filter struct {
	Owner  string // of this user alone; "" is everybody's, and the daemon's own
	Bottle string // of this bottle alone, by id
	Denied bool   // only what was denied
}

func (f Filter) takes(k ringKey) bool {
	return (f.Owner == "" || f.Owner == k.owner) && (f.Bottle == "" || f.Bottle == k.bottle) && (!f.Denied || k.denied)
}

// Reader is one reader's place in a [Recent]. It belongs to one goroutine.
type Reader struct {
	recent *Recent
	filter Filter
	read   map[*ring]uint64 // how many of each were read, or lost
}

// Reader returns one that begins with the oldest event that is kept.
func (r *Recent) Reader(f Filter) *Reader {
	return &Reader{recent: r, filter: f, read: make(map[*ring]uint64)}
}

// Next returns what came since the last call, oldest first, and how many events
// were overwritten in between. It does not wait.
func (r *Reader) Next() (events []Event, lost uint64) {
	r.recent.mu.Lock()
	var found []numbered
	read := make(map[*ring]uint64, len(r.read))
	for k, ring := range r.recent.rings {
		if !r.filter.takes(k) {
			continue
		}
		from, known := r.read[ring]
		if first := ring.first(); from < first {
			if known {
				lost += first - from
			}
			from = first
		}
		for ; from < ring.count; from++ {
			found = append(found, ring.at(from))
		}
		read[ring] = ring.count
	}
	r.read = read // without those that were forgotten
	r.recent.mu.Unlock()
	slices.SortFunc(found, func(a, b numbered) int { return cmp.Compare(a.seq, b.seq) })
	for _, n := range found {
		events = append(events, n.event)
	}
	return events, lost
}

// Wait returns nil once something was recorded after the last call of Next, for
// whomever it is, and ctx's error once ctx ends.
func (r *Reader) Wait(ctx context.Context) error {
	r.recent.mu.Lock()
	for k, ring := range r.recent.rings {
		if r.filter.takes(k) && r.read[ring] < ring.count {
			r.recent.mu.Unlock()
			return nil
		}
	}
	if r.recent.wake == nil {
		r.recent.wake = make(chan struct{})
	}
	wake := r.recent.wake
	r.recent.mu.Unlock()
	select {
	case <-wake:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
