package proxy

import "sync"

// keptDecisions is how many refusals /decisions/ID can show.
const keptDecisions = 512

// decisions are the latest refusals by request id. It is safe for concurrent use.
type decisions struct {
	mu   sync.Mutex
	byID map[string][]byte
	ring [keptDecisions]string
	next int
}

func (d *decisions) add(id string, text []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byID == nil {
		d.byID = make(map[string][]byte, keptDecisions)
	}
	delete(d.byID, d.ring[d.next])
	d.ring[d.next], d.byID[id] = id, text
	d.next = (d.next + 1) % keptDecisions
}

func (d *decisions) get(id string) ([]byte, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	text, ok := d.byID[id]
	return text, ok
}
