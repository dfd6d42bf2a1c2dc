package proxy

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"bottled/proxy/scrub"
	"bottled/routes"
	"bottled/secret"
)

// maxFormer is how many values are still looked for after they were replaced: an
// upstream may show today what it was sent yesterday.
const maxFormer = 32

// guard knows what must not come into the bottle, and from where: every token of its
// routes, from every host that is given one. Which route a response is to does not
// matter, nor its port or scheme: what an upstream was sent on one, it can show on
// another. It is safe for concurrent use.
type guard struct {
	now  atomic.Pointer[guarded]
	mu   sync.Mutex // held to change what follows
	live map[string]string
	// former are values that were live before, the latest last.
	former []string
}

// guarded is what is guarded at a time.
type guarded struct {
	values map[string]bool
	hosts  map[string]bool
	set    func() *scrub.Set // compiled when it is first needed
}

func newGuard() *guard {
	g := &guard{live: map[string]string{}}
	g.now.Store(&guarded{hosts: map[string]bool{}, set: func() *scrub.Set { return nil }})
	return g
}

// Load returns what to look for now. It implements [scrub.Sets]: a stream that is open
// learns of a new token before that is sent anywhere.
func (g *guard) Load() *scrub.Set { return g.now.Load().set() }

// covers reports whether what comes from host is searched.
func (g *guard) covers(host routes.Host) bool {
	hosts := g.now.Load().hosts
	return len(hosts) > 0 && hosts[host.String()]
}

// learn takes in the hosts of t that are given a token, and the tokens that there are
// already: an upstream may know them from another bottle. Hosts of older tables stay.
func (g *guard) learn(t *routes.Table, credential func(uint64, string) (secret.Token, bool)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	hosts, live := maps.Clone(g.now.Load().hosts), map[string]string{}
	for _, r := range t.Routes() {
		if r.Auth == nil {
			continue
		}
		hosts[r.Host.String()] = true
		if token, ok := credential(t.Generation(), r.Auth.Slot); ok {
			live[r.Auth.Slot] = token.Reveal()
		}
	}
	current := slices.Collect(maps.Values(live))
	for _, value := range g.live {
		if !slices.Contains(current, value) {
			g.retire(value)
		}
	}
	g.live = live
	g.publish(hosts)
}

// meet takes in a token before it is sent.
func (g *guard) meet(slot string, token secret.Token) {
	value := token.Reveal()
	if g.now.Load().values[value] {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if old, ok := g.live[slot]; ok {
		g.retire(old)
	}
	g.live[slot] = value
	g.publish(g.now.Load().hosts)
}

func (g *guard) retire(value string) {
	g.former = slices.DeleteFunc(g.former, func(v string) bool { return v == value })
	g.former = append(g.former, value)
	if n := len(g.former) - maxFormer; n > 0 {
		g.former = slices.Delete(g.former, 0, n)
	}
}

func (g *guard) publish(hosts map[string]bool) {
	next := &guarded{values: map[string]bool{}, hosts: hosts}
	for _, v := range slices.Concat(g.former, slices.Collect(maps.Values(g.live))) {
		next.values[v] = true
	}
	all := slices.Sorted(maps.Keys(next.values))
	next.set = sync.OnceValue(func() *scrub.Set { return scrub.New(all...) })
	g.now.Store(next)
}
