package routes

import (
	"errors"
	"fmt"
	"strings"

	"bottled/dlp/rules"
	"bottled/strict"
)

// DLPMode is what the scanner does about a finding. The zero mode is "not said":
// the bottle's mode for a route, and block for a bottle.
type DLPMode string

// The modes.
const (
	DLPBlock  DLPMode = "block"
	DLPRedact DLPMode = "redact"
	DLPWarn   DLPMode = "warn"
)

// DLP is what a manifest says about scanning, for a bottle or for one route.
type DLP struct {
	Mode   DLPMode
	Exempt []Exemption
	// Unreadable is what happens to a body whose Content-Encoding nobody here can
	// undo: block, or warn, which scans its bytes as they are.
	Unreadable DLPMode
}

// Exemption lets pass what a rule finds: every match, or the one with that
// fingerprint. It never reaches a token of the bottle.
type Exemption struct {
	Rule        string `json:"rule"`
	Fingerprint string `json:"fingerprint,omitempty"`
}

// String is unique among exemptions.
func (e Exemption) String() string {
	if e.Fingerprint == "" {
		return e.Rule
	}
	return e.Rule + "/" + e.Fingerprint
}

// ParseDLPMode parses a mode as a manifest names it.
func ParseDLPMode(s string) (DLPMode, error) {
	switch m := DLPMode(s); m {
	case DLPBlock, DLPRedact, DLPWarn:
		return m, nil
	}
	return "", fmt.Errorf("unknown dlp mode %q: write block, redact or warn", clip(s))
}

// parseUnreadable parses what happens to a body that cannot be read.
func parseUnreadable(s string) (DLPMode, error) {
	switch m := DLPMode(s); m {
	case DLPBlock, DLPWarn:
		return m, nil
	}
	return "", fmt.Errorf("%q is not what can happen to a body that cannot be read: write block or warn", clip(s))
}

// ParseRuleID parses the id of a rule of the scanner, such as github-pat. What no
// rule is called is an error: an exemption from it would be believed.
func ParseRuleID(s string) (string, error) {
	switch {
	case rules.Known(s):
		return s, nil
	case strings.HasPrefix(s, "secret:"):
		return "", fmt.Errorf("%q is a token of the bottle, which leaves where it is injected and nowhere else: nothing exempts it", clip(s))
	}
	if near := strict.Nearest(s, rules.Names()); near != "" {
		return "", fmt.Errorf("unknown rule %q: did you mean %q?", clip(s), near)
	}
	return "", fmt.Errorf("%q is not the id of a rule: write one such as github-pat", clip(s))
}

// fingerprintLen is how many hex digits a fingerprint has.
const fingerprintLen = 16

// parseFingerprint parses the fingerprint of a match, as the audit log shows it.
func parseFingerprint(s string) (string, error) {
	if len(s) != fingerprintLen || strings.Trim(s, "0123456789abcdef") != "" {
		return "", fmt.Errorf("%q is not a fingerprint: write the 16 hex digits of the audit log", clip(s))
	}
	return s, nil
}

// Weaker names the key by which less is stopped than by default, or is "". Redacting
// is not weaker: what is found does not leave.
func (d *DLP) Weaker() string {
	switch {
	case d == nil:
		return ""
	case len(d.Exempt) > 0:
		return "exempt"
	case d.Mode == DLPWarn:
		return "mode: warn"
	case d.Unreadable == DLPWarn:
		return "unreadable: warn"
	}
	return ""
}

func (d *DLP) check() error {
	if d == nil {
		return nil
	}
	if d.Mode != "" {
		if _, err := ParseDLPMode(string(d.Mode)); err != nil {
			return err
		}
	}
	if d.Unreadable != "" {
		if _, err := parseUnreadable(string(d.Unreadable)); err != nil {
			return err
		}
	}
	for _, e := range d.Exempt {
		if err := e.Check(); err != nil {
			return err
		}
	}
	return nil
}

// Check refuses an exemption from no rule, and of one match where nobody can tell it
// from others.
func (e Exemption) Check() error {
	if _, err := ParseRuleID(e.Rule); err != nil {
		return err
	}
	if e.Fingerprint == "" {
		return nil
	}
	if rules.Begins(e.Rule) {
		return fmt.Errorf("rule %s finds how a secret begins, and many begin alike, so one match cannot be exempted: exempt the rule where that is meant", e.Rule)
	}
	_, err := parseFingerprint(e.Fingerprint)
	return err
}

func (r *reader) dlp(n *strict.Node, key string) DLP {
	v := r.Object(n, key, "mode", "exempt", "unreadable")
	d := DLP{
		Mode:       strict.Parsed(r.Reader, v["mode"], key+".mode", ParseDLPMode),
		Unreadable: strict.Parsed(r.Reader, v["unreadable"], key+".unreadable", parseUnreadable),
	}
	for i, item := range r.List(v["exempt"], key+".exempt") {
		d.Exempt = append(d.Exempt, r.exemption(item, strict.Index(key+".exempt", i)))
	}
	return d
}

// exemption reads one entry: the id of a rule, or an object for one match of it.
func (r *reader) exemption(n *strict.Node, key string) Exemption {
	if n.Kind != strict.Map {
		return Exemption{Rule: strict.Parsed(r.Reader, n, key, ParseRuleID)}
	}
	v := r.Object(n, key, "rule", "fingerprint")
	for _, name := range []string{"rule", "fingerprint"} {
		if strict.Missing(n, v, name) {
			r.Fail(n, key, "%v", errHalfExemption)
		}
	}
	e := Exemption{
		Rule:        strict.Parsed(r.Reader, v["rule"], key+".rule", ParseRuleID),
		Fingerprint: strict.Parsed(r.Reader, v["fingerprint"], key+".fingerprint", parseFingerprint),
	}
	if e.Rule != "" && e.Fingerprint != "" {
		if err := e.Check(); err != nil {
			r.Fail(n, key, "%v", err)
		}
	}
	return e
}

var errHalfExemption = errors.New("an exemption of one match needs rule and fingerprint: add the missing one, or write the id of the rule alone to exempt all of its matches")
