package proposal

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// areas are what a capability may be about.
var areas = []string{"environment", "limits", "mounts"}

// A Capability is a change of the bottle itself, in words. A person makes it, by
// changing the manifest; nothing applies it.
type Capability struct {
	Area   string // one of areas
	Change string // free text of the agent, one line
}

// ForCapability proposes a change of the bottle. Its errors speak to the agent
// that asks.
func ForCapability(area, change, reason string) (Proposal, error) {
	if !slices.Contains(areas, area) {
		return Proposal{}, fmt.Errorf("area: %q is not one: write %s", clip(area), strings.Join(areas, ", "))
	}
	// What is decided is never cut, so a change that is too long is refused.
	text := oneLine(change, utf8.RuneCountInString(change))
	if n := utf8.RuneCountInString(text); n == 0 || n > maxText {
		return Proposal{}, fmt.Errorf("change: it has %d characters: say what to change in 1 to %d", n, maxText)
	}
	why, err := parseReason(reason)
	if err != nil {
		return Proposal{}, err
	}
	return Proposal{kind: KindCapability, capability: Capability{Area: area, Change: text}, reason: why}, nil
}

// String returns the whole change in one line.
func (c Capability) String() string { return "change of the bottle's " + c.Area + ": " + c.Change }
