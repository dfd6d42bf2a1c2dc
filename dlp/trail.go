package dlp

import (
	"bytes"
	"strconv"
	"sync"

	"bottled/dlp/rules"
)

// Trail is how the values ended that a bottle sent to one place, each in its slot: a
// segment of the path, a parameter, a header, a cookie, a key of JSON, a field of a
// form, a short text. With it a secret is found that is cut over several requests: the
// value of a slot is looked at together with what the slot held before.
//
// Only what spans two requests counts, of secrets and of rules of high confidence, and
// it blocks wherever it would not be let pass. A value that a slot repeats is not
// joined to itself.
//
// It is bounded: trailSlots slots, those that were not used for longest being
// forgotten, and of each the last edge bytes. A Trail is safe for concurrent use, its
// requests being judged in some order. The zero Trail is empty.
type Trail struct {
	mu    sync.Mutex
	scans uint64 // that followed it
	clock uint64
	slots map[string]*slot
}

type slot struct {
	tail []byte // of the values so far, without what separates them
	last []byte // value, or how it began
	scan uint64 // that used it last
	used uint64 // by the clock
}

// The bounds of a trail, and how many values of one request follow it: the others are
// joined with one another anyway.
const (
	trailSlots  = 64
	trailValues = 256
	slotName    = 64 // bytes of a name that tell slots apart
)

// earlier stands in a finding for the encodings that were undone.
const earlier = "earlier requests"

// leastTrail is the shortest text that can hold a secret: see skeletonMin, and no rule
// has a shorter token.
const leastTrail = skeletonMin

// After says that the request follows others on t. It comes before the first part.
func (s *Scan) After(t *Trail) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.scans++
	s.trail, s.trailScan = t, t.scans
}

// follow judges a value of a slot together with what was there before.
func (s *Scan) follow(kind Kind, name string, p *piece) {
	if s.trail == nil || s.followed >= trailValues || s.err != nil || len(p.head) == 0 && len(p.tail) == 0 {
		return
	}
	s.followed++
	s.trail.mu.Lock()
	defer s.trail.mu.Unlock()
	at := s.trail.slot(kind.String() + " " + name[:min(len(name), slotName)])
	first := at.scan != s.trailScan
	if first {
		at.scan = s.trailScan
		if bytes.Equal(at.last, p.head) {
			return
		}
		s.span(kind, at.tail, p.head)
	}
	if s.err == nil { // else it does not leave, and the next try meets the same
		at.take(p)
	}
}

// slot returns the slot of that name, a new one in place of the oldest if there has
// to be one.
func (t *Trail) slot(name string) *slot {
	t.clock++
	at, ok := t.slots[name]
	if !ok {
		if t.slots == nil {
			t.slots = make(map[string]*slot)
		}
		if len(t.slots) >= trailSlots {
			t.forget()
		}
		at = new(slot)
		t.slots[name] = at
	}
	at.used = t.clock
	return at
}

func (t *Trail) forget() {
	var oldest string
	least := t.clock
	for name, at := range t.slots {
		if at.used < least {
			oldest, least = name, at.used
		}
	}
	delete(t.slots, oldest)
}

// take appends a value: whole if it is one word, else its last one.
func (at *slot) take(p *piece) {
	at.last = append(at.last[:0], p.head...)
	if p.more() {
		at.tail = append(at.tail[:0], p.tail...)
		return
	}
	at.tail = append(at.tail, p.head...)
	if over := len(at.tail) - edge; over > 0 {
		at.tail = at.tail[:copy(at.tail, at.tail[over:])]
	}
}

// span looks for what begins in before and ends in value.
func (s *Scan) span(kind Kind, before, value []byte) {
	if len(before) == 0 || len(before)+len(value) < leastTrail {
		return
	}
	v := s.view(kind, "", 0, earlier)
	v.joined, v.leaf, v.trail, v.seam = true, true, true, len(before)
	v.write(before)
	v.write(value)
	v.finish()
}

// spans reports whether a match in the view of a trail is new: it is of a secret or of a
// rule of high confidence, and no part of it was a match before, or is one by itself.
func (v *view) spans(r *rule, match []byte, from int64) bool {
	if r.class != rules.High {
		return false
	}
	if v.seam == 0 { // of what is encoded nobody knows where it spans
		return true
	}
	cut := int64(v.seam) - from
	if cut <= 0 || cut >= int64(len(match)) {
		return false
	}
	return r.joined == nil || !r.joined.Match(match[:cut]) && !r.joined.Match(match[cut:])
}

// pathSlot is the slot of the n-th segment of a path, or label of a host.
func pathSlot(n int) string { return strconv.Itoa(n) }
