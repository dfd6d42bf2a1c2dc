package proposal

import (
	"fmt"
	"slices"
)

// A Kind is what a proposal is about. The zero Kind is none.
type Kind uint8

// The kinds of proposals.
const (
	KindRoute      Kind = iota + 1 // a route in the live table
	KindExemption                  // an exemption from a rule of the scanner
	KindCapability                 // a change of the bottle itself
)

var kindNames = []string{"", "route", "exemption", "capability"}

// String returns the name that JSON uses, or "unknown".
func (k Kind) String() string { return nameOf(kindNames, int(k)) }

// Relaunch reports whether an approval takes effect only when the bottle is
// launched again: its mounts, limits and environment are fixed while it runs.
func (k Kind) Relaunch() bool { return k == KindCapability }

// MarshalText implements [encoding.TextMarshaler].
func (k Kind) MarshalText() ([]byte, error) { return marshalName("kind", kindNames, int(k)) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (k *Kind) UnmarshalText(text []byte) error {
	i, err := unmarshalName("kind", kindNames, text)
	*k = Kind(i)
	return err
}

// A State is how far the decision about a proposal has come. The zero State is
// none, and grants nothing.
type State uint8

// The states. All but Waiting are final.
const (
	Waiting State = iota + 1
	Approved
	Denied
	Expired // nobody decided in time, which denies
)

var stateNames = []string{"", "waiting", "approved", "denied", "expired"}

// String returns the name that JSON uses, or "unknown".
func (s State) String() string { return nameOf(stateNames, int(s)) }

// MarshalText implements [encoding.TextMarshaler].
func (s State) MarshalText() ([]byte, error) { return marshalName("state", stateNames, int(s)) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *State) UnmarshalText(text []byte) error {
	i, err := unmarshalName("state", stateNames, text)
	*s = State(i)
	return err
}

func nameOf(names []string, i int) string {
	if i < 1 || i >= len(names) {
		return "unknown"
	}
	return names[i]
}

func marshalName(what string, names []string, i int) ([]byte, error) {
	if i < 1 || i >= len(names) {
		return nil, fmt.Errorf("proposal: %d is no %s", i, what)
	}
	return []byte(names[i]), nil
}

func unmarshalName(what string, names []string, text []byte) (int, error) {
	if i := slices.Index(names, string(text)); i > 0 {
		return i, nil
	}
	return 0, fmt.Errorf("proposal: unknown %s %q", what, clip(string(text)))
}
