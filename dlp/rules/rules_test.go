package rules

import (
	"slices"
	"strings"
	"testing"
)

func TestLoad(t *testing.T) {
	all, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 200 {
		t.Fatalf("%d rules, want at least 200", len(all))
	}
	high := 0
	for i, r := range all {
		if r.Class == High {
			high++
		}
		if i > 0 && all[i-1].ID >= r.ID {
			t.Errorf("%q comes after %q: ids are unique and sorted", r.ID, all[i-1].ID)
		}
		if r.Group > r.Regexp.NumSubexp() {
			t.Errorf("%q has no group %d", r.ID, r.Group)
		}
		for _, k := range r.Keywords {
			if k != strings.ToLower(k) || len(k) < 2 {
				t.Errorf("%q: keyword %q is not lower case, or too short", r.ID, k)
			}
		}
		if r.Regexp.MatchString("") {
			t.Errorf("%q matches the empty string", r.ID)
		}
	}
	t.Logf("%d rules, %d of them high confidence", len(all), high)
	if high < 90 {
		t.Errorf("%d high-confidence rules, want at least 90", high)
	}
	for _, id := range []string{"github-pat", "npm-access-token", "aws-access-token", "private-key", "anthropic-api-key", "openai-api-key"} {
		if !slices.ContainsFunc(all, func(r Rule) bool { return r.ID == id && r.Class == High }) {
			t.Errorf("rule %q is not there or not high confidence", id)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":       ``,
		"unknown key":   `{"rules":[],"x":1}`,
		"no class":      `{"rules":[{"id":"a","kw":["k"],"re":"k"}]}`,
		"unknown class": `{"rules":[{"id":"a","class":"low","kw":["k"],"re":"k"}]}`,
		"no keyword":    `{"rules":[{"id":"a","class":"high","re":"k"}]}`,
		"bad regexp":    `{"rules":[{"id":"a","class":"high","kw":["k"],"re":"("}]}`,
		"bad allow":     `{"rules":[{"id":"a","class":"high","kw":["k"],"re":"k","allow":["("]}]}`,
		"bad general":   `{"allow":["("],"rules":[]}`,
	} {
		if _, err := parse([]byte(in)); err == nil {
			t.Errorf("%s: parsed", name)
		}
	}
}
