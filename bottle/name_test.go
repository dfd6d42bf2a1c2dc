package bottle

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// What a reference means to whom: nobody takes the place of another's bottle by the name
// that they give theirs.
func TestFind(t *testing.T) {
	m := newManager(t)
	const alice, mallory, carol = 1001, 1002, 1003
	start := time.Now()
	add := func(owner uint32, name string) string {
		start = start.Add(time.Second)
		b := newBottle(m, record{ID: newID(), Name: name, Owner: owner, Created: start})
		b.setState(Running, nil)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.bottles[b.record.ID] = b
		return b.record.ID
	}
	t.Cleanup(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		clear(m.bottles) // nobody oversees them
	})
	web := add(alice, "web")
	lone := add(alice, "lone")
	impostor := add(mallory, web) // later than what it is named after
	theirs := add(mallory, "web")
	own := add(0, "own")
	add(carol, "own")

	for _, c := range []struct {
		uid       uint32
		ref, want string
		err       error
	}{
		{alice, "web", web, nil},
		{mallory, "web", theirs, nil},
		{carol, "web", "", ErrNotFound},
		{alice, web, web, nil},
		{0, web, web, nil},
		{0, theirs, theirs, nil},
		{mallory, web, impostor, nil}, // a name of their own, and nothing of alice's
		{carol, web, "", ErrNotFound},
		{0, "lone", lone, nil},
		{0, "own", own, nil},
		{0, "web", "", ErrConflict},
		{0, "nothing", "", ErrNotFound},
	} {
		b, err := m.find(Caller{UID: c.uid}, c.ref)
		got := ""
		if err == nil {
			got = b.record.ID
		}
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%q of %d: %q, %v; want %q, %v", c.ref, c.uid, got, err, c.want, c.err)
		}
	}
	_, err := m.find(root, "web")
	if err == nil || !strings.Contains(err.Error(), web) || !strings.Contains(err.Error(), theirs) {
		t.Errorf("the refusal does not name both: %v", err)
	}
}
