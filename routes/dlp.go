package routes

import "fmt"

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
	Exempt []string // ids of rules that do not apply
}

// ParseDLPMode parses a mode as a manifest names it.
func ParseDLPMode(s string) (DLPMode, error) {
	switch m := DLPMode(s); m {
	case DLPBlock, DLPRedact, DLPWarn:
		return m, nil
	}
	return "", fmt.Errorf("unknown dlp mode %q: write block, redact or warn", clip(s))
}

// parseRuleID parses the id of a rule, such as github-pat.
func parseRuleID(s string) (string, error) {
	for i := range len(s) {
		if c := s[i]; !isLower(c) && !isUpper(c) && !isDigit(c) && c != '-' && c != '_' && c != '.' {
			return "", fmt.Errorf("%q is not the id of a rule: write one such as github-pat", clip(s))
		}
	}
	if s == "" || len(s) > 128 {
		return "", fmt.Errorf("%q is not the id of a rule: write one such as github-pat", clip(s))
	}
	return s, nil
}
