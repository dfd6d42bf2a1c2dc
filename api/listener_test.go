package api

import (
	"testing"

	"bottled/bottle"
)

// Those who hold all the connections there are keep nobody out.
func TestEverybodyHasConnections(t *testing.T) {
	l := newPeerListener(nil, nil)
	holder := uint32(1000)
	for ; l.total < maxConns; holder++ {
		for range maxConnsPerUID {
			if _, err := l.enter(holder); err != nil {
				t.Fatalf("uid %d, %d connections in all: %v", holder, l.total, err)
			}
		}
		if _, err := l.enter(holder); err == nil {
			t.Fatalf("uid %d has more than %d", holder, maxConnsPerUID)
		}
	}
	for i := range ownConns {
		if _, err := l.enter(holder); err != nil {
			t.Errorf("connection %d of another: %v", i+1, err)
		}
	}
	if _, err := l.enter(holder); err == nil {
		t.Errorf("%d connections, over the total of %d", ownConns+1, maxConns)
	}
	for range ownConns {
		l.leave(peer{Caller: bottle.Caller{UID: holder}, pidfd: -1})
	}
	if len(l.byUID) != maxConns/maxConnsPerUID || l.total != maxConns {
		t.Errorf("%d in all, %d users", l.total, len(l.byUID))
	}
}
