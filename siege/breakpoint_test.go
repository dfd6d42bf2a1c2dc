package siege

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
)

// point is a step of the daemon's work: of what, and which, as bottle.Options.Fault
// is told.
type point struct {
	Operation string `json:"operation"`
	Step      int    `json:"step"`
	Name      string `json:"name,omitempty"`
}

func (p point) String() string { return fmt.Sprintf("%s step %d (%s)", p.Operation, p.Step, p.Name) }

// ready is the point at which the API is served.
var ready = point{Operation: "ready"}

// Descriptors of a daemon: where it says at which point it is, and where it is told to
// go on.
const (
	pointsFD = 3
	goOnFD   = 4
)

// halter is the daemon's side: each point is reported and waits for leave, one at a time.
type halter struct {
	mu  sync.Mutex
	out *json.Encoder
	in  *json.Decoder
}

func newHalter() *halter {
	return &halter{
		out: json.NewEncoder(os.NewFile(pointsFD, "points")),
		in:  json.NewDecoder(os.NewFile(goOnFD, "go on")),
	}
}

// fault has the shape of bottle.Options.Fault.
func (h *halter) fault(operation string, step int, name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.out.Encode(point{operation, step, name}); err != nil {
		return err
	}
	var leave string
	if err := h.in.Decode(&leave); err != nil {
		return err
	}
	if leave != "" {
		return fmt.Errorf("injected: %s", leave)
	}
	return nil
}

// breakpoints is the besieger's side.
type breakpoints struct {
	mu    sync.Mutex
	at    map[point]func(point)
	seen  []point // every one that was passed, in order
	ready chan struct{}
}

// on arranges that f is called when the daemon next comes to the point; it stands there
// until f returns.
func (b *breakpoints) on(p point, f func(point)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at[p] = f
}

func (b *breakpoints) passed() []point {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]point(nil), b.seen...)
}

// serve answers the daemon until it has ended.
func (b *breakpoints) serve(points *os.File, goOn *os.File) {
	defer goOn.Close()
	defer points.Close()
	in, out := json.NewDecoder(points), json.NewEncoder(goOn)
	for {
		var p point
		if err := in.Decode(&p); err != nil {
			return
		}
		if p == ready {
			close(b.ready)
		}
		b.mu.Lock()
		f := b.at[p]
		delete(b.at, p)
		b.seen = append(b.seen, p)
		b.mu.Unlock()
		if f != nil {
			f(p)
		}
		_ = out.Encode("") // one that was killed does not listen
	}
}
