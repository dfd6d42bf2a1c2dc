// Package rules is the data of the scanner: which shapes are secrets.
//
// The shapes come from gitleaks (see NOTICE and LICENSE beside this file, and
// convert.py for what was changed); no code of it is used. Every pattern is RE2,
// so matching is linear in the input, whatever the input is.
package rules

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

//go:embed rules.json
var data []byte

// Class says how far a rule can be trusted.
type Class uint8

// The classes. The zero class is not one.
const (
	_ Class = iota
	// Generic rules recognise a value by the word beside it ("api_key = …") or by
	// a shape that harmless data has too. They warn by default.
	Generic
	// High rules recognise a value by itself: a prefix its issuer chose, a length,
	// often a checksum. They block by default.
	High
)

// String returns "generic" or "high".
func (c Class) String() string {
	switch c {
	case Generic:
		return "generic"
	case High:
		return "high"
	}
	return "unknown"
}

// Rule is one shape of secret. It is immutable and safe for concurrent use.
type Rule struct {
	ID       string
	Class    Class
	Keywords []string         // lower case; one of them is in every match, in any case
	Regexp   *regexp.Regexp   // finds the secret and, perhaps, its surroundings
	Group    int              // the capture group that is the secret; 0: the first that took part
	Entropy  float64          // Shannon entropy in bits per byte that the secret must exceed; 0: any
	Allow    []*regexp.Regexp // a secret that matches one of these is a placeholder
	Stop     []string         // lower case; a secret that contains one of these is a placeholder
}

type file struct {
	Macros map[string]string `json:"macros"`
	Allow  []string          `json:"allow"`
	Stop   []string          `json:"stop"`
	Rules  []struct {
		ID      string   `json:"id"`
		Class   string   `json:"class"`
		Entropy float64  `json:"entropy"`
		Kw      []string `json:"kw"`
		Re      string   `json:"re"`
		Group   int      `json:"group"`
		Allow   []string `json:"allow"`
		Stop    []string `json:"stop"`
	} `json:"rules"`
}

// Load returns the built-in rules, compiled once per process, in the order of
// their ids. The slice is shared: do not modify it.
var Load = sync.OnceValues(func() ([]Rule, error) { return parse(data) })

func parse(data []byte) ([]Rule, error) {
	var f file
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return nil, fmt.Errorf("dlp rules: %w", err)
	}
	var pairs []string
	for name, text := range f.Macros {
		pairs = append(pairs, "{{"+name+"}}", text)
	}
	macros := strings.NewReplacer(pairs...)
	general, err := compile("general allow list", f.Allow)
	if err != nil {
		return nil, err
	}
	out := make([]Rule, 0, len(f.Rules))
	for _, in := range f.Rules {
		r := Rule{ID: in.ID, Keywords: in.Kw, Group: in.Group, Entropy: in.Entropy}
		switch in.Class {
		case "high":
			r.Class = High
		case "generic":
			r.Class = Generic
		}
		if r.Class == 0 || r.ID == "" || len(r.Keywords) == 0 {
			return nil, fmt.Errorf("dlp rules: rule %q needs an id, a class and a keyword", in.ID)
		}
		if r.Regexp, err = regexp.Compile(macros.Replace(in.Re)); err != nil {
			return nil, fmt.Errorf("dlp rules: rule %q: %w", in.ID, err)
		}
		own, err := compile(in.ID, in.Allow)
		if err != nil {
			return nil, err
		}
		r.Allow, r.Stop = own, in.Stop
		if r.Class == Generic { // a token of a known shape is one, even with "false" in it
			r.Allow, r.Stop = append(own, general...), append(in.Stop, f.Stop...)
		}
		out = append(out, r)
	}
	return out, nil
}

func compile(id string, patterns []string) ([]*regexp.Regexp, error) {
	var out []*regexp.Regexp
	for _, p := range patterns {
		re, err := regexp.Compile(p)
		if err != nil {
			return nil, fmt.Errorf("dlp rules: allow list of %q: %w", id, err)
		}
		out = append(out, re)
	}
	return out, nil
}
