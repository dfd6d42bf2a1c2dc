package policy

import (
	"maps"
	"slices"
	"strconv"

	"bottled/routes"
	"bottled/strict"
)

// What holds where the file sets no limit.
const (
	defaultBottles = 64   // of one user, at once
	defaultTotal   = 1024 // of all, at once
	maxLimit       = 1 << 20
)

// limits are numbers of bottles that run at once, of which zero lets none run, and what
// each may use, of which zero is no ceiling.
type limits struct {
	bottles, total int
	users          map[uint32]int
	bottle         routes.Limits // ceiling of each
	bottleAt       place
}

func (l limits) of(s Subject) int {
	if s.Root() {
		return l.total
	}
	if n, ok := l.users[s.UID]; ok {
		return n
	}
	return l.bottles
}

func readLimits(r *strict.Reader, n *strict.Node, file string) limits {
	v := r.Object(n, "limits", "bottles", "total", "users", "bottle")
	l := limits{
		bottles: bound(r, v["bottles"], "limits.bottles", defaultBottles),
		total:   bound(r, v["total"], "limits.total", defaultTotal),
		users:   make(map[uint32]int),
		bottle:  routes.ReadLimits(r, v["bottle"], "limits.bottle"),
	}
	if n := v["bottle"]; n != nil {
		l.bottleAt = place{file, n.Line, "limits.bottle"}
	}
	values := make(map[string]*strict.Node)
	if v["users"] != nil {
		values = r.Object(v["users"], "limits.users")
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		key, value := strict.Join("limits.users", strict.Clip(name)), values[name]
		id, err := userID(name)
		if err != nil {
			r.Fail(value, key, "%v in quotes", err)
			continue
		}
		if _, twice := l.users[id]; twice {
			r.Fail(value, key, "uid %d has a limit already: remove one", id)
		}
		l.users[id] = bound(r, value, key, 0)
	}
	return l
}

func bound(r *strict.Reader, n *strict.Node, key string, absent int) int {
	if n == nil {
		return absent
	}
	value, err := strconv.Atoi(n.Text)
	if n.Kind != strict.Number || err != nil || value < 0 || value > maxLimit {
		r.Fail(n, key, "this must be a number of bottles: 0 to %d, without quotes", maxLimit)
		return 0
	}
	return value
}
