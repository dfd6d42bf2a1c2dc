package bottle

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// What ended bottles of one user hold is bounded, in number and in bytes; the last few are told
// about in any case, and no one else's go.
func TestEndedBottlesAreBounded(t *testing.T) {
	for name, tt := range map[string]struct{ size, want int }{
		"many":  {10, maxExited},
		"large": {1 << 20, maxExitedBytes >> 20},
		"huge":  {maxExitedBytes, minExited},
	} {
		m := &Manager{bottles: map[string]*bottle{"other": {record: record{ID: "other", Owner: 2}, state: Exited}}}
		command := []string{strings.Repeat("x", tt.size)}
		for i := range maxExited + 10 {
			id := fmt.Sprint(i)
			m.bottles[id] = &bottle{record: record{ID: id, Owner: 1, Command: command, Created: time.Unix(int64(i), 0)}, state: Exited}
			m.trim(1)
		}
		if _, last := m.bottles[fmt.Sprint(maxExited+9)]; len(m.bottles) != tt.want+1 || m.bottles["other"] == nil || !last {
			t.Errorf("%s: %d are left", name, len(m.bottles)-1)
		}
	}
}
