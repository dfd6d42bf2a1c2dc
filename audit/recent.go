package audit

import (
	"cmp"
	"container/heap"
	"context"
	"sync"
	"unsafe"
)

// Bounds of a [Recent].
const (
	// RecentEvents is how many allowed, and how many denied, events of one bottle are
	// kept: what is allowed often does not push out what was denied.
	RecentEvents = 256
	// recentRings and recentBytes bound the lists of all bottles together: one of a
	// quiet bottle is nothing, and a full one may be a megabyte.
	recentRings = 2048
	recentBytes = 64 << 20
	// readerBatch is how many events a reader gets at a time.
	readerBatch = 512
)

// Recent is a [Sink] that keeps the last events of each bottle in memory and shows
// them to readers, who may wait for more. A reader that does not keep up never
// holds a recorder: what is overwritten before it was read is lost to it, and
// counted. All methods are safe for concurrent use. The zero Recent is ready.
type Recent struct {
	mu    sync.Mutex
	seq   uint64
	bytes int // of all rings
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
	bytes  int    // about, of all events
}

type numbered struct {
	seq   uint64
	event Event
}

func (r *ring) first() uint64 { return r.count - uint64(len(r.events)) }
func (r *ring) last() uint64  { return r.at(r.count - 1).seq }

func (r *ring) at(n uint64) numbered { return r.events[n%RecentEvents] }

// add returns by how many bytes the ring grew.
func (r *ring) add(e numbered) (grown int) {
	grown = e.event.bytes()
	if len(r.events) < RecentEvents {
		r.events = append(r.events, e)
	} else {
		at := &r.events[r.count%RecentEvents]
		grown -= at.event.bytes()
		*at = e
	}
	r.count++
	r.bytes += grown
	return grown
}

// bytes is about what an event takes of memory.
func (e *Event) bytes() int {
	return int(unsafe.Sizeof(*e)) + len(e.Authority) + len(e.SNI) + len(e.Method) + len(e.Path.s) + len(e.Reason) + len(e.Route) +
		len(e.Detail) + len(e.RequestID) + len(e.Fingerprint) + len(e.Rule) + len(e.Where) + len(e.Process.Comm) + len(e.Protocol) + len(e.Scheme)
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
	r.bytes += r.rings[k].add(numbered{r.seq, e})
	for r.bytes > recentBytes {
		r.evict()
	}
	if r.wake != nil {
		close(r.wake)
		r.wake = nil
	}
}

// evict forgets the list that was quiet for longest of the owner who has most, so
// that nobody pushes out another user's by making many bottles, or long events.
func (r *Recent) evict() {
	have := make(map[string]int)
	for k, ring := range r.rings {
		have[k.owner] += ring.bytes
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
	r.bytes -= found.bytes
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

// Next returns what came since the last call, oldest first and no more than a batch of
// it, and how many events were overwritten in between. It does not wait.
func (r *Reader) Next() (events []Event, lost uint64) {
	r.recent.mu.Lock()
	defer r.recent.mu.Unlock()
	var unread unreadRings
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
		read[ring] = from
		if from < ring.count {
			unread = append(unread, unreadRing{ring, ring.at(from).seq})
		}
	}
	r.read = read // without those that were forgotten
	heap.Init(&unread)
	for len(unread) > 0 && len(events) < readerBatch {
		next := &unread[0]
		events = append(events, next.ring.at(read[next.ring]).event)
		if read[next.ring]++; read[next.ring] == next.ring.count {
			heap.Pop(&unread)
			continue
		}
		next.seq = next.ring.at(read[next.ring]).seq
		heap.Fix(&unread, 0)
	}
	return events, lost
}

// unreadRing is a ring and the number of the next event that is to be read of it.
type unreadRing struct {
	ring *ring
	seq  uint64
}

// unreadRings is a [heap.Interface], the oldest event first.
type unreadRings []unreadRing

func (u unreadRings) Len() int           { return len(u) }
func (u unreadRings) Less(i, j int) bool { return u[i].seq < u[j].seq }
func (u unreadRings) Swap(i, j int)      { u[i], u[j] = u[j], u[i] }
func (u *unreadRings) Push(x any)        { *u = append(*u, x.(unreadRing)) }

// Pop implements [heap.Interface].
func (u *unreadRings) Pop() any {
	last := len(*u) - 1
	x := (*u)[last]
	*u = (*u)[:last]
	return x
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
