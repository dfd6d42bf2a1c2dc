package rules

import (
	"encoding/json"
	"slices"
	"sync"
)

// The ids of rules that are code and not data.
const (
	PaymentCard = "payment-card"
	IBAN        = "iban"
)

// Names returns the ids of all rules that can be named by a person, in order. It
// reads the data and compiles nothing. The slice is shared: do not modify it.
var Names = sync.OnceValue(func() []string {
	var f struct {
		Rules []struct {
			ID string `json:"id"`
		} `json:"rules"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		panic("dlp rules: " + err.Error()) // embedded, and a test reads it
	}
	names := []string{PaymentCard, IBAN}
	for _, r := range f.Rules {
		names = append(names, r.ID)
	}
	slices.Sort(names)
	return names
})

// Known reports whether a rule has that id.
func Known(id string) bool {
	_, ok := slices.BinarySearch(Names(), id)
	return ok
}

// Begins reports whether a rule finds how a secret begins and not all of it: what it
// finds can be neither overwritten nor told apart. All keys of OpenSSH for Ed25519, for
// one, begin alike.
func Begins(id string) bool { return id == "private-key" }
