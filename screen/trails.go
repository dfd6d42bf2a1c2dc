package screen

import (
	"sync"

	"bottled/dlp"
	"bottled/routes"
)

// maxTrails is how many hosts of the table have a trail at a time: one takes some 25
// KiB at most, so all of them less than 2 MiB.
const maxTrails = 64

// trails are what a bottle sent before, for each host pattern of the table: names below
// one wildcard are one place. The one that was not used for longest is forgotten. It is
// safe for concurrent use.
type trails struct {
	mu     sync.Mutex
	clock  uint64
	byHost map[routes.Pattern]*trail
}

type trail struct {
	dlp.Trail
	used uint64
}

func (t *trails) of(host routes.Pattern) *dlp.Trail {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clock++
	at, ok := t.byHost[host]
	if !ok {
		if t.byHost == nil {
			t.byHost = make(map[routes.Pattern]*trail)
		}
		if len(t.byHost) >= maxTrails {
			t.forget()
		}
		at = new(trail)
		t.byHost[host] = at
	}
	at.used = t.clock
	return &at.Trail
}

func (t *trails) forget() {
	var oldest routes.Pattern
	least := t.clock
	for host, at := range t.byHost {
		if at.used < least {
			oldest, least = host, at.used
		}
	}
	delete(t.byHost, oldest)
}
