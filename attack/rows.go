package attack

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
)

// Known is a way in which enforcers of this kind were got round.
type Known struct {
	ID        string `json:"id"`
	Layer     string `json:"layer"`
	Priority  string `json:"pri"` // P0 must be tested or excused
	Attack    string `json:"attack"`
	Enforcer  string `json:"enforcer"`  // what a right enforcer does
	Assertion string `json:"assertion"` // how to see that it does
}

// Excuse says why a row cannot apply to this design, and which test checks the reason.
type Excuse struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
	Check  string `json:"check"` // package and name of a test
}

//go:embed rows.json
var rowsJSON []byte

//go:embed inapplicable.json
var inapplicableJSON []byte

// Rows returns every known attack.
func Rows() ([]Known, error) { return decode[Known]("rows.json", rowsJSON) }

// Inapplicable returns the rows that cannot apply.
func Inapplicable() ([]Excuse, error) { return decode[Excuse]("inapplicable.json", inapplicableJSON) }

func decode[T any](name string, text []byte) ([]T, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var rows []T
	if err := d.Decode(&rows); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return rows, nil
}
